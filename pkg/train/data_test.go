package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/experiment"
	"rekindle/pkg/internal/bitwise"
)

// known is load for pictures that are identified.
func known(t *testing.T, cfg config.Config) Data {
	t.Helper()
	t.Setenv("REKINDLE_CACHE_DIR", "off")
	d := load(t, cfg)
	d.Identity = &dataset.Identity{}
	for _, part := range []struct {
		degraded, clean string
		into            *dataset.Pictures
	}{{cfg.TrainDegradedDir, cfg.TrainCleanDir, &d.Identity.Train}, {cfg.ValDegradedDir, cfg.ValCleanDir, &d.Identity.Val}} {
		set, err := dataset.Open(part.degraded, part.clean, cfg.PatchSize, nil)
		if err != nil {
			t.Fatal(err)
		}
		if *part.into, err = set.Pictures(); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// runKnown trains on identified pictures.
func runKnown(t *testing.T, ctx context.Context, exp *experiment.Experiment, cfg config.Config, w *watch) (*Result, *checkpoint.State) {
	t.Helper()
	result, err := Run(ctx, exp, cfg, known(t, cfg), Options{Backend: goEngine(t), Reporter: w})
	if err != nil {
		t.Fatal(err)
	}
	return result, newest(t, exp)
}

// stopAt interrupts a run after some batches of its first epoch.
func stopAt(t *testing.T, batches int) (context.Context, *watch) {
	ctx, cancel := context.WithCancel(t.Context())
	return ctx, &watch{onBatch: func(_, batch int) {
		if batch == batches {
			cancel()
		}
	}}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// moved puts all pictures into other folders.
func moved(t *testing.T, cfg config.Config) config.Config {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []*string{&cfg.TrainCleanDir, &cfg.TrainDegradedDir, &cfg.ValCleanDir, &cfg.ValDegradedDir} {
		to := filepath.Join(root, filepath.Base(*dir))
		rename(t, *dir, to)
		*dir = to
	}
	return cfg
}

// otherVal validates with pictures of another seed, drawn beside the ones before.
func otherVal(t *testing.T, cfg config.Config) config.Config {
	t.Helper()
	root := t.TempDir()
	cfg.ValCleanDir, cfg.ValDegradedDir = filepath.Join(root, "clean"), filepath.Join(root, "noisy")
	pictures(t, cfg.ValCleanDir, cfg.ValDegradedDir, 1, 77)
	return cfg
}

func TestTheSamePicturesUnderAnotherPathAreTheSameData(t *testing.T) {
	cfg := tiny(t)
	whole := newExperiment(t, cfg)
	_, want := runKnown(t, t.Context(), whole, cfg, &watch{})

	exp := newExperiment(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	w := &watch{onBatch: func(epoch, batch int) {
		if epoch == 2 && batch == 3 {
			cancel()
		}
	}}
	_, before := runKnown(t, ctx, exp, cfg, w)
	cfg = moved(t, cfg)
	cfg.ResumeFromCheckpoint = true
	w = &watch{}
	_, got := runKnown(t, t.Context(), exp, cfg, w)
	for _, unwanted := range []string{"pictures since then", "cannot be compared", "ends here", "📐"} {
		if w.said(unwanted) {
			t.Errorf("%q was said: %q", unwanted, w.messages)
		}
	}
	if before.BestEpoch == 0 || !w.said("Best so far: epoch ") {
		t.Errorf("the best epoch is forgotten: %q", w.messages)
	}
	bitwise.SameTraining(t, got, want)
	id, err := dataset.LoadIdentity(exp.DataPath())
	if err != nil || id.Train.Folder != cfg.TrainCleanDir {
		t.Errorf("data.json says %s (%v), want the folder of now, %s", id.Train.Folder, err, cfg.TrainCleanDir)
	}
}

func TestWithoutAnyOfItsPicturesARunDoesNotGoOn(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 1
	exp := newExperiment(t, cfg)
	_, before := runKnown(t, t.Context(), exp, cfg, &watch{})
	expected := cfg.TrainCleanDir
	cfg.TrainCleanDir, cfg.TrainDegradedDir = t.TempDir(), t.TempDir()
	pictures(t, cfg.TrainCleanDir, cfg.TrainDegradedDir, 2, 99) // of the same names
	cfg.ResumeFromCheckpoint, cfg.NumEpochs = true, 2
	_, err := Run(t.Context(), exp, cfg, known(t, cfg), Options{Backend: goEngine(t)})
	if err == nil {
		t.Fatal("it went on")
	}
	for _, part := range []string{expected, cfg.TrainCleanDir, "2 pictures", "0.png", "TrainCleanDir", "ForkExperiment = \"" + exp.Name()} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	after := newest(t, exp)
	if string(after.Data) != string(before.Data) {
		t.Error("a refused run changed the checkpoint's data")
	}

	// What was offered instead.
	child, err := experiment.Fork(exp, []string{exp.Checkpoints().Path(checkpoint.Last)}, cfg, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cfg.ResumeFromCheckpoint = false
	w := &watch{}
	if result, s := runKnown(t, t.Context(), child, cfg, w); result.Outcome != Completed || s.Epoch != 2 || !w.said("Training pictures since then: 2 changed") {
		t.Errorf("the fork ended %q, messages %q", result.Outcome, w.messages)
	}
	// From here on these are its pictures.
	cfg.TrainCleanDir, cfg.TrainDegradedDir = t.TempDir(), t.TempDir()
	pictures(t, cfg.TrainCleanDir, cfg.TrainDegradedDir, 2, 100)
	cfg.ResumeFromCheckpoint = true
	if _, err := Run(t.Context(), child, cfg, known(t, cfg), Options{Backend: goEngine(t)}); err == nil || !strings.Contains(err.Error(), "none of them") {
		t.Errorf("the fork went on with yet other pictures: %v", err)
	}
}

// The rest of the epoch would come in another order: it ends, so that no patch is
// used twice in it, and the next one has all pictures.
func TestPicturesAddedInMidEpochEndIt(t *testing.T) {
	cfg := tiny(t)
	exp := newExperiment(t, cfg)
	ctx, w := stopAt(t, 3) // 12 of 18 patches
	runKnown(t, ctx, exp, cfg, w)
	pictures(t, cfg.TrainCleanDir, cfg.TrainDegradedDir, 3, 1) // the same two and a third
	cfg.ResumeFromCheckpoint = true
	w = &watch{}
	result, s := runKnown(t, t.Context(), exp, cfg, w)
	const perEpoch = 7 // batches of 4 in 3*9 patches
	if result.Outcome != Completed || s.Step != 3+2*perEpoch || w.batches != 2*perEpoch {
		t.Errorf("%q after %d steps, %d of them in this session; want completed, %d, %d", result.Outcome, s.Step, w.batches, 3+2*perEpoch, 2*perEpoch)
	}
	if !w.said("Training pictures since then: 1 added; there are 3 now") || !w.said("12 were used in another order: epoch 1 ends here") {
		t.Errorf("messages: %q", w.messages)
	}
	// Once more, between epochs: nothing to say.
	cfg.NumEpochs = 4
	w = &watch{}
	if _, s := runKnown(t, t.Context(), exp, cfg, w); s.Step != 3+3*perEpoch || w.said("since then") || w.said("ends here") {
		t.Errorf("%d steps, messages %q", s.Step, w.messages)
	}
}

func TestAnotherOrderOfPatchesInMidEpochEndsIt(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"seed":         func(c *config.Config) { c.Seed++ },
		"more patches": func(c *config.Config) { c.PatchesPerImage++ },
		"a picture fewer": func(c *config.Config) {
			os.Remove(filepath.Join(c.TrainCleanDir, "1.png"))
			os.Remove(filepath.Join(c.TrainDegradedDir, "1.png"))
		},
	} {
		cfg := tiny(t)
		exp := newExperiment(t, cfg)
		ctx, w := stopAt(t, 2)
		runKnown(t, ctx, exp, cfg, w)
		change(&cfg)
		cfg.ResumeFromCheckpoint, cfg.NumEpochs = true, 1
		w = &watch{}
		if _, s := runKnown(t, t.Context(), exp, cfg, w); w.batches != 0 || s.Step != 2 || s.Epoch != 1 || !w.said("epoch 1 ends here") {
			t.Errorf("%s: %d batches, %d steps, %d epochs, messages %q", name, w.batches, s.Step, s.Epoch, w.messages)
		}
	}
}

// A run on other validation pictures trains the same; so the loss that the best
// epoch had there is what measuring it again must give.
func TestTheBestEpochIsMeasuredAgainOnOtherValidationPictures(t *testing.T) {
	cfg := tiny(t)
	other := otherVal(t, cfg)
	_, want := runKnown(t, t.Context(), newExperiment(t, other), other, &watch{})

	exp := newExperiment(t, cfg)
	_, before := runKnown(t, t.Context(), exp, cfg, &watch{})
	for _, name := range []string{checkpoint.Last, checkpoint.Best} { // nothing will ever be better on those pictures
		path := exp.Checkpoints().Path(name)
		s, err := checkpoint.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		s.BestLoss = 1e-9
		if err := checkpoint.Save(path, s); err != nil {
			t.Fatal(err)
		}
	}
	other.ResumeFromCheckpoint, other.NumEpochs = true, 4
	measured := want.History.ValLoss[before.BestEpoch-1]

	// Stopped before it was measured: the checkpoint must not claim that it was.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if result, s := runKnown(t, ctx, exp, other, &watch{}); result.Outcome != Interrupted || s.BestLoss != 1e-9 || string(s.Data) != string(before.Data) {
		t.Errorf("%q, best loss %v, other data %v", result.Outcome, s.BestLoss, string(s.Data) != string(before.Data))
	}
	w := &watch{}
	result, s := runKnown(t, t.Context(), exp, other, w)
	if !w.said("Validation pictures since then: 1 changed") || !w.said("measured on the validation pictures of now") {
		t.Errorf("messages: %q", w.messages)
	}
	if best := min(measured, s.History.ValLoss[3]); result.BestLoss != best {
		t.Errorf("best loss %v, want %v: the smaller of %v measured again and %v of the new epoch", result.BestLoss, best, measured, s.History.ValLoss[3])
	}
	if s.Patience > before.Patience+1 {
		t.Errorf("patience %d after one validation, %d before", s.Patience, before.Patience)
	}
	w = &watch{}
	other.NumEpochs = 5
	if runKnown(t, t.Context(), exp, other, w); w.said("measured on") || w.said("since then") {
		t.Errorf("it is said again: %q", w.messages)
	}
}

func TestBuiltInPicturesDoNotStandInForThoseToValidateWith(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 1
	exp := newExperiment(t, cfg)
	runKnown(t, t.Context(), exp, cfg, &watch{})
	other := otherVal(t, cfg)
	other.ResumeFromCheckpoint, other.NumEpochs = true, 2
	data := known(t, other)
	data.Identity.Val.Drawn = true
	if _, err := Run(t.Context(), exp, other, data, Options{Backend: goEngine(t)}); err == nil || !strings.Contains(err.Error(), cfg.ValCleanDir) || !strings.Contains(err.Error(), "ValCleanDir") {
		t.Errorf("got %v, want a refusal that names the folder", err)
	}
}

func TestACheckpointThatDoesNotKnowItsPicturesGoesOnAndKnowsThem(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 1
	exp := newExperiment(t, cfg)
	if _, s := mustRun(t, t.Context(), exp, cfg, Options{}); s.Data != nil {
		t.Fatal("pictures that nobody named are known")
	}
	cfg.ResumeFromCheckpoint, cfg.NumEpochs = true, 2
	w := &watch{}
	_, s := runKnown(t, t.Context(), exp, cfg, w)
	if s.Data == nil || w.said("since then") {
		t.Errorf("data %s, messages %q", s.Data, w.messages)
	}
	if _, err := dataset.LoadIdentity(exp.DataPath()); err != nil {
		t.Error(err)
	}
}

func TestAHistoryWithoutCheckpointsIsKept(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 2
	exp := newExperiment(t, cfg)
	mustRun(t, t.Context(), exp, cfg, Options{})
	old, err := os.ReadFile(exp.HistoryPath())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(exp.CheckpointsDir()); err != nil {
		t.Fatal(err)
	}
	cfg.ResumeFromCheckpoint, cfg.NumEpochs = true, 1
	w := &watch{}
	result, _ := mustRun(t, t.Context(), exp, cfg, Options{Reporter: w})
	kept, err := os.ReadFile(exp.HistoryPath() + ".before-1")
	if err != nil || string(kept) != string(old) || result.History.Len() != 1 {
		t.Errorf("%d epochs; the old history is not kept: %v", result.History.Len(), err)
	}
	if !w.said("history.json.before-1") || !w.said("no checkpoint yet") {
		t.Errorf("messages: %q", w.messages)
	}
}

// A picture that cannot be read any more ends a session as any error does: with the
// State saved, from where the run goes on when the picture is there again.
func TestAPictureThatCannotBeReadAnyMoreCostsNothing(t *testing.T) {
	cfg := tiny(t)
	_, want := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{})
	exp := newExperiment(t, cfg)
	data := load(t, cfg)
	looked, err := dataset.Look(cfg.TrainDegradedDir, cfg.TrainCleanDir, cfg.PatchSize, nil) // read when patches are cut
	if err != nil {
		t.Fatal(err)
	}
	data.Train = looked.Train(cfg.PatchSize, cfg.PatchesPerImage, cfg.Seed)
	file, away := filepath.Join(cfg.TrainCleanDir, "1.png"), filepath.Join(t.TempDir(), "1.png")
	w := &watch{onBatch: func(epoch, batch int) {
		if epoch == 2 && batch == 1 {
			rename(t, file, away)
		}
	}}
	_, err = Run(t.Context(), exp, cfg, data, Options{Backend: goEngine(t), Reporter: w})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "1.png") {
		t.Errorf("got %v, want that 1.png is gone", err)
	}
	if s := newest(t, exp); s.Epoch != 1 || s.Position == 0 || s.Reason != "error" {
		t.Errorf("saved are epoch %d, position %d (%s); want the middle of epoch 2", s.Epoch, s.Position, s.Reason)
	}
	rename(t, away, file)
	cfg.ResumeFromCheckpoint = true
	_, got := mustRun(t, t.Context(), exp, cfg, Options{})
	bitwise.SameTraining(t, got, want)
}
