package train

import (
	"os"
	"slices"
	"testing"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/checkpoint/pth"
	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
)

// asFromPython makes an experiment look as the Python original leaves it: its
// best model is of epoch 1, its newest periodic checkpoint of epoch 2, and the
// files hold nothing of Rekindle's own.
func asFromPython(t *testing.T, cfg config.Config) *experiment.Experiment {
	t.Helper()
	cfg.NumEpochs, cfg.SaveEvery = 2, 1
	exp := newExperiment(t, cfg)
	mustRun(t, t.Context(), exp, cfg, Options{})
	dir := exp.CheckpointsDir()
	for name, from := range map[string]string{checkpoint.Best: checkpoint.Periodic(1), checkpoint.Periodic(2): checkpoint.Periodic(2)} {
		f, err := pth.Open(checkpoint.Folder(dir).Path(from))
		if err != nil {
			t.Fatal(err)
		}
		root, meta := f.Root.(*pth.Dict), pth.NewDict()
		epoch, _ := root.Get("epoch")
		meta.Set("total_epochs_completed", epoch)
		if name == checkpoint.Best {
			meta.Set("best_epoch", epoch)
			metrics, val := pth.NewDict(), pth.NewDict()
			val.Set("loss", 1e-9) // nothing will ever be better
			metrics.Set("val", val)
			root.Set("metrics", metrics)
		}
		root.Set("metadata", meta)
		if err := pth.Save(checkpoint.Folder(dir).Path(name), root); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	for _, name := range []string{checkpoint.Last, checkpoint.Periodic(1)} {
		if err := os.Remove(checkpoint.Folder(dir).Path(name)); err != nil {
			t.Fatal(err)
		}
	}
	return exp
}

func TestTheBestModelOfThePythonOriginalIsKept(t *testing.T) {
	cfg := tiny(t)
	exp := asFromPython(t, cfg)
	best := exp.Checkpoints().Path(checkpoint.Best)
	before, err := os.ReadFile(best)
	if err != nil {
		t.Fatal(err)
	}
	cfg.ResumeFromCheckpoint, cfg.NumEpochs, cfg.Patience = true, 5, 3
	result, s := mustRun(t, t.Context(), exp, cfg, Options{})
	after, err := os.ReadFile(best)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, after) || result.BestEpoch != 1 || result.BestLoss != 1e-9 {
		t.Errorf("best epoch %d loss %v, file changed %v; want 1, 1e-9, false", result.BestEpoch, result.BestLoss, !slices.Equal(before, after))
	}
	if result.Outcome != EarlyStopped || s.Patience != 3 || s.Epoch != 4 {
		t.Errorf("%q after epoch %d with patience %d; epoch 2 was validated before, so want early_stopped, 4, 3", result.Outcome, s.Epoch, s.Patience)
	}
}

func TestAPythonCheckpointWithoutItsHistory(t *testing.T) {
	for _, content := range []string{"", `{"train_loss": [1`} { // missing, broken
		cfg := tiny(t)
		exp := asFromPython(t, cfg)
		if err := os.Remove(exp.HistoryPath()); err != nil {
			t.Fatal(err)
		}
		if content != "" {
			if err := os.WriteFile(exp.HistoryPath(), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		cfg.ResumeFromCheckpoint, cfg.NumEpochs = true, 3
		_, s := mustRun(t, t.Context(), exp, cfg, Options{})
		if h := s.History; s.Epoch != 3 || h.Len() != 3 || isFinite(h.TrainLoss[1]) || !isFinite(h.TrainLoss[2]) {
			t.Errorf("history %q: train losses of epochs 1 to %d are %v, want one for each, the first two unmeasured", content, s.Epoch, h.TrainLoss)
		}
	}
}

// The original climbs back to its highest rate when a run is made longer.
func TestARunOfThePythonOriginalThatIsMadeLongerDoesNotClimbBack(t *testing.T) {
	cfg := tiny(t)
	cfg.WarmupEpochs = 0
	exp := asFromPython(t, cfg) // two epochs, planned for two
	first, err := history.Load(exp.HistoryPath())
	if err != nil {
		t.Fatal(err)
	}
	cfg.ResumeFromCheckpoint, cfg.NumEpochs, cfg.Patience = true, 8, 0
	_, s := mustRun(t, t.Context(), exp, cfg, Options{})
	for i, rate := range s.History.LR {
		before := first.LR[min(i, 1)]
		if i > 1 {
			before = s.History.LR[i-1]
		}
		if rate > before {
			t.Errorf("epoch %d has rate %g, after %g", i+1, rate, before)
		}
	}
	if last := s.History.LR[7]; last != cfg.MinLR {
		t.Errorf("the last epoch has rate %g, want MinLR, %g", last, cfg.MinLR)
	}

	// The same plan goes on with the same curve, without an anchor.
	exp = asFromPython(t, cfg)
	cfg.NumEpochs = 2
	cfg.ResumeFromCheckpoint = true
	if _, s := mustRun(t, t.Context(), exp, cfg, Options{}); s.Anchor.Epoch != 0 {
		t.Errorf("the curve has an anchor at epoch %d, want none", s.Anchor.Epoch)
	}
}
