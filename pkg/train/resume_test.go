package train

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
	"rekindle/pkg/internal/bitwise"
)

func TestAResumedRunKeepsItsBestModel(t *testing.T) {
	cfg := tiny(t)
	exp := newExperiment(t, cfg)
	mustRun(t, context.Background(), exp, cfg, Options{})
	s := newest(t, exp)
	s.BestEpoch, s.BestLoss = 3, 1e-9 // nothing will ever be better
	for _, name := range []string{checkpoint.Last, checkpoint.Best} {
		if err := checkpoint.Save(exp.Checkpoints().Path(name), s); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := os.ReadFile(exp.Checkpoints().Path(checkpoint.Best))
	cfg.ResumeFromCheckpoint, cfg.NumEpochs = true, 5
	result, _ := mustRun(t, context.Background(), exp, cfg, Options{})
	after, _ := os.ReadFile(exp.Checkpoints().Path(checkpoint.Best))
	if result.BestEpoch != 3 || result.BestLoss != 1e-9 || !slices.Equal(before, after) {
		t.Errorf("best epoch %d loss %v, file changed %v; want 3, 1e-9, false", result.BestEpoch, result.BestLoss, !slices.Equal(before, after))
	}
}

func TestChangedNetworkIsRefusedByKey(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 1
	exp := newExperiment(t, cfg)
	mustRun(t, context.Background(), exp, cfg, Options{})
	cfg.ResumeFromCheckpoint, cfg.ModelFeatures = true, 3
	_, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t)})
	if err == nil || !strings.Contains(err.Error(), "ModelFeatures was 2") || !strings.Contains(err.Error(), "is 3 now") {
		t.Errorf("got %v, want an error with the key and both values", err)
	}
}

// attention_unet had a single gate once. Such a run goes on with that network, as if under its present name.
func TestAnAttentionUNetOfOneGateGoesOn(t *testing.T) {
	cfg := tiny(t)
	cfg.Model, cfg.NumEpochs, cfg.PatchesPerImage = "attention_unet_bottleneck", 2, 4
	_, want := mustRun(t, context.Background(), newExperiment(t, cfg), cfg, Options{})

	exp := newExperiment(t, cfg)
	cfg.NumEpochs = 1
	_, s := mustRun(t, context.Background(), exp, cfg, Options{})
	s.Config.Model, s.Config.NumEpochs = "attention_unet", 2
	if err := checkpoint.Save(exp.Checkpoints().Path(checkpoint.Last), s); err != nil {
		t.Fatal(err)
	}
	cfg = s.Config
	cfg.ResumeFromCheckpoint = true
	w := &watch{}
	_, got := mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	if !w.said("what is called attention_unet_bottleneck now") {
		t.Errorf("messages: %q", w.messages)
	}
	if got.Epoch != 2 || len(got.Model) != len(want.Model) {
		t.Fatalf("epoch %d with %d tensors, want 2 with %d", got.Epoch, len(got.Model), len(want.Model))
	}
	for i, tensor := range want.Model {
		if !slices.Equal(got.Model[i].Values, tensor.Values) {
			t.Errorf("%s differs from that of a run that was not renamed", tensor.Name)
		}
	}
}

func TestOtherChangesArePrinted(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 1
	exp := newExperiment(t, cfg)
	mustRun(t, context.Background(), exp, cfg, Options{})
	cfg.ResumeFromCheckpoint, cfg.NumEpochs, cfg.BatchSize = true, 2, 3
	w := &watch{}
	mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	if !w.said("BatchSize: 4 → 3") || !w.said("NumEpochs: 1 → 2") {
		t.Errorf("messages: %q", w.messages)
	}
}

func TestTrainingOverAnExistingRunIsRefused(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 1
	exp := newExperiment(t, cfg)
	mustRun(t, context.Background(), exp, cfg, Options{})
	_, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t)})
	if err == nil || !strings.Contains(err.Error(), "ResumeFromCheckpoint") {
		t.Errorf("got %v, want a refusal that names ResumeFromCheckpoint", err)
	}
}

func TestAForkGoesOnFromItsParentAndLeavesItAlone(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 2
	parent := newExperiment(t, cfg)
	mustRun(t, context.Background(), parent, cfg, Options{})
	before := newest(t, parent)
	cfg.NumEpochs, cfg.LearningRate = 3, 5e-4
	child, err := experiment.Fork(parent, []string{parent.Checkpoints().Path(checkpoint.Last)}, cfg, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{}
	result, _ := mustRun(t, context.Background(), child, cfg, Options{Reporter: w})
	if result.Outcome != Completed || result.History.Len() != 3 || w.batches != 5 {
		t.Errorf("the fork ended %q with %d epochs after %d batches", result.Outcome, result.History.Len(), w.batches)
	}
	bitwise.SameTraining(t, newest(t, parent), before)
	if stats, err := child.LoadStats(); err != nil || stats.Parent != parent.Name() || len(stats.Sessions) != 1 {
		t.Errorf("the fork's record is %+v, %v", stats, err)
	}
}

func TestResumeWithoutAnyCheckpointStartsFreshInTheSameFolder(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs, cfg.ResumeFromCheckpoint = 1, true
	exp := newExperiment(t, cfg)
	w := &watch{}
	result, _ := mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	if result.Outcome != Completed || !w.said("no checkpoint yet") {
		t.Errorf("ended %q, messages %q", result.Outcome, w.messages)
	}
}

func TestDamagedNewestCheckpointFallsBackAndHistoryFollows(t *testing.T) {
	cfg := tinyUNet(t)
	exp := newExperiment(t, cfg)
	_, want := mustRun(t, context.Background(), exp, cfg, Options{})
	dir := exp.CheckpointsDir()
	for _, name := range []string{checkpoint.Last, checkpoint.Best} { // leaves checkpoint_epoch_002.pth
		path := checkpoint.Folder(dir).Path(name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, info.Size()/2); err != nil {
			t.Fatal(err)
		}
	}
	cfg.ResumeFromCheckpoint = true
	w := &watch{}
	_, got := mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	if !w.said("last_checkpoint.pth is damaged") || !w.said("checkpoint_epoch_002.pth") {
		t.Errorf("messages: %q", w.messages)
	}
	if kept, _ := filepath.Glob(checkpoint.Folder(dir).Path("*.pth.invalid-1")); len(kept) != 2 {
		t.Errorf("kept %q, want both damaged files under other names", kept)
	}
	bitwise.SameTraining(t, got, want)
}

func TestABrokenHistoryIsSetAsideAndRestoredFromTheCheckpoint(t *testing.T) {
	cfg := tiny(t)
	exp := newExperiment(t, cfg)
	_, want := mustRun(t, context.Background(), exp, cfg, Options{})
	if err := os.WriteFile(exp.HistoryPath(), []byte(`{"train_loss": [1`), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg.ResumeFromCheckpoint = true
	w := &watch{}
	result, _ := mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	if !w.said("Previous history has invalid structure") {
		t.Errorf("messages: %q", w.messages)
	}
	bitwise.SameHistory(t, &result.History, &want.History)
	if kept, _ := filepath.Glob(exp.HistoryPath() + "*invalid*"); len(kept) != 1 {
		kept, _ = filepath.Glob(filepath.Join(exp.Dir, "*invalid*"))
		if len(kept) != 1 {
			t.Errorf("the broken file was not kept")
		}
	}
}

func TestBestModelIsMadeAgainFromTheNewestCheckpoint(t *testing.T) {
	cfg := tiny(t)
	exp := newExperiment(t, cfg)
	mustRun(t, context.Background(), exp, cfg, Options{})
	best := exp.Checkpoints().Path(checkpoint.Best)
	if err := os.Remove(best); err != nil {
		t.Fatal(err)
	}
	cfg.ResumeFromCheckpoint = true
	w := &watch{}
	mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	for _, line := range []string{"best_model.pth not found in", "Found alternative checkpoint: last_checkpoint.pth", "Copying to best_model.pth", "may not be the actual best"} {
		if !w.said(line) {
			t.Errorf("not printed: %q", line)
		}
	}
	if _, err := checkpoint.Load(best); err != nil {
		t.Error(err)
	}
}

func TestAnEpochThatIsShorterNowEnds(t *testing.T) {
	cfg := tiny(t)
	exp := newExperiment(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	mustRun(t, ctx, exp, cfg, Options{Reporter: &watch{onBatch: func(_, batch int) {
		if batch == 3 { // 12 of 18 patches
			cancel()
		}
	}}})
	cfg.ResumeFromCheckpoint, cfg.PatchesPerImage = true, 2
	w := &watch{}
	result, s := mustRun(t, t.Context(), exp, cfg, Options{Reporter: w})
	if result.Outcome != Completed || s.Step != 3+1+1 || s.History.Len() != 3 {
		t.Errorf("%q after %d steps, %d epochs in the history; want completed, 5, 3", result.Outcome, s.Step, s.History.Len())
	}
	if !w.said("An epoch has 4 patches now, and 12 were used") {
		t.Errorf("it was not said: %q", w.messages)
	}
}

// TestIncomparableLossesAreNotCompared: a best loss of another kind would stay the
// best for ever.
func TestIncomparableLossesAreNotCompared(t *testing.T) {
	cfg := tiny(t)
	exp := newExperiment(t, cfg)
	_, before := mustRun(t, t.Context(), exp, cfg, Options{})
	cfg.ResumeFromCheckpoint, cfg.NumEpochs, cfg.LossAlpha, cfg.LossBeta, cfg.Patience = true, 5, 8.4, 1.6, 1
	w := &watch{}
	result, _ := mustRun(t, t.Context(), exp, cfg, Options{Reporter: w})
	if result.Outcome != Completed || result.BestEpoch < 4 {
		t.Errorf("ended %q with best epoch %d, want completed and one of the epochs 4 and 5", result.Outcome, result.BestEpoch)
	}
	if !w.said("LossAlpha, LossBeta changed") {
		t.Errorf("messages: %q", w.messages)
	}
	kept, err := checkpoint.Load(exp.Checkpoints().Path("best_model_until_epoch_003.pth"))
	if err != nil || kept.Epoch != before.BestEpoch {
		t.Errorf("the best model until then is %+v, %v", kept, err)
	}
	if best, err := checkpoint.Load(exp.Checkpoints().Path(checkpoint.Best)); err != nil || best.Epoch != result.BestEpoch {
		t.Errorf("best_model.pth is of another epoch than the best, %d (%v)", result.BestEpoch, err)
	}
}

// TestABestLossWithoutItsModelIsForgotten: best_model.pth was lost and is made
// from the newest checkpoint; a worse epoch than the one that was lost may be better than that.
func TestABestLossWithoutItsModelIsForgotten(t *testing.T) {
	cfg := tiny(t)
	cfg.Patience = 0
	exp := newExperiment(t, cfg)
	mustRun(t, t.Context(), exp, cfg, Options{})
	s := newest(t, exp)
	s.BestEpoch, s.BestLoss = 1, 1e-9
	if err := checkpoint.Save(exp.Checkpoints().Path(checkpoint.Last), s); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(exp.Checkpoints().Path(checkpoint.Best)); err != nil {
		t.Fatal(err)
	}
	cfg.ResumeFromCheckpoint, cfg.NumEpochs = true, 5
	result, _ := mustRun(t, t.Context(), exp, cfg, Options{})
	if result.BestEpoch < 4 {
		t.Errorf("best epoch %d, want one of this session, 4 or 5", result.BestEpoch)
	}
}

func TestDataOfAnotherPatchSizeIsRefused(t *testing.T) {
	cfg := tiny(t)
	data := load(t, cfg)
	cfg.PatchSize = 20
	if _, err := Run(t.Context(), newExperiment(t, cfg), cfg, data, Options{Backend: goEngine(t)}); err == nil || !strings.Contains(err.Error(), "PatchSize is 20") {
		t.Errorf("got %v, want an error with both sizes", err)
	}
}

// Back to an older checkpoint: the rows of the epochs after it are a record of what
// was trained, and stay under another name.
func TestRowsAfterAnOlderCheckpointAreKept(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs, cfg.SaveEvery = 2, 1
	exp := newExperiment(t, cfg)
	mustRun(t, context.Background(), exp, cfg, Options{})
	for _, name := range []string{checkpoint.Last, checkpoint.Best, checkpoint.Periodic(2)} {
		if err := os.Remove(exp.Checkpoints().Path(name)); err != nil && name != checkpoint.Best {
			t.Fatal(err)
		}
	}
	cfg.ResumeFromCheckpoint = true
	w := &watch{}
	mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	kept, err := history.Load(exp.HistoryPath() + ".before-1")
	if err != nil || kept.Len() != 2 || !w.said("it is kept as history.json.before-1") {
		t.Errorf("the rows of two epochs: %v, %v", kept, err)
	}
}
