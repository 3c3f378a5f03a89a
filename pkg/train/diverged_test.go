package train

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/checkpoint"
)

// An epoch of two batches never has more than the three that may be left out.
func TestShortEpochsWithoutAnyNumberStopTheRun(t *testing.T) {
	cfg := tiny(t)
	cfg.BatchSize, cfg.LearningRate, cfg.GradientClip, cfg.WarmupEpochs, cfg.NumEpochs = 9, 1e30, 0, 0, 10
	exp := newExperiment(t, cfg)
	result, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t)})
	if !errors.Is(err, ErrDiverged) || result == nil || result.Outcome != Diverged || result.History.Len() > 2 {
		t.Fatalf("got %+v, %v, want diverged in epoch 2", result, err)
	}
}

func TestADivergedRunSaysHowToGoBack(t *testing.T) {
	cfg := tinyUNet(t)
	cfg.GradientClip, cfg.WarmupEpochs, cfg.NumEpochs, cfg.SaveEvery = 0, 0, 4, 0
	exp := newExperiment(t, cfg)
	ctx, w := interruptAfter(5*2 + 1) // two epochs are complete
	mustRun(t, ctx, exp, cfg, Options{Reporter: w})

	cfg.ResumeFromCheckpoint = true
	good := cfg.LearningRate
	cfg.LearningRate = 1e30
	w = &watch{}
	if _, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t), Reporter: w}); !errors.Is(err, ErrDiverged) {
		t.Fatalf("got %v, want diverged", err)
	}
	if !w.said("goes on from best_model.pth, epoch 2") {
		t.Errorf("messages: %q", w.messages)
	}

	// The weights are spoilt. A lower rate gets a full chance, then the way back works.
	cfg.LearningRate = good
	w = &watch{}
	Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t), Reporter: w})
	if !w.said("(1 of at most 3)") {
		t.Errorf("the batches that were left out before count again: %q", w.messages)
	}
	newer, err := filepath.Glob(exp.Checkpoints().Path("[el]*.pth")) // emergency and last
	if err != nil || len(newer) != 3 {
		t.Fatal(newer, err)
	}
	for _, file := range newer {
		if err := os.Rename(file, filepath.Join(t.TempDir(), filepath.Base(file))); err != nil {
			t.Fatal(err)
		}
	}
	result, _ := mustRun(t, context.Background(), exp, cfg, Options{})
	if result.Outcome != Completed || math.IsNaN(result.History.TrainLoss[3]) {
		t.Errorf("ended %q with train losses %v", result.Outcome, result.History.TrainLoss)
	}
}

// interruptAfter cancels its context after so many batches.
func interruptAfter(batches int) (context.Context, *watch) {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{}
	w.onBatch = func(int, int) {
		if w.batches == batches {
			cancel()
		}
	}
	return ctx, w
}

// TestBatchesThatWereLeftOutAtTheEndComeAgain: a lower rate gets all of the epoch.
func TestBatchesThatWereLeftOutAtTheEndComeAgain(t *testing.T) {
	cfg := tiny(t)
	cfg.BatchSize, cfg.GradientClip, cfg.WarmupEpochs, cfg.NumEpochs, cfg.SaveEvery = 9, 0, 0, 3, 0
	exp := newExperiment(t, cfg)
	ctx, w := interruptAfter(3) // in the second epoch; each has two batches
	mustRun(t, ctx, exp, cfg, Options{Reporter: w})
	before := newest(t, exp)
	if before.Epoch != 1 {
		t.Fatalf("the first session ended in epoch %d", before.Epoch+1)
	}
	emergency := exp.Checkpoints().Path(checkpoint.Emergency("interrupt", 2))
	if err := os.Remove(emergency); err != nil {
		t.Fatal(err)
	}
	spoiled := *before
	spoiled.Position, spoiled.Partial = 0, checkpoint.Partial{}
	first := spoiled.Model[0] // with it every loss is NaN
	spoiled.Model = slices.Clone(spoiled.Model)
	spoiled.Model[0].Values = slices.Repeat([]float32{float32(math.NaN())}, len(first.Values))
	if err := checkpoint.Save(exp.Checkpoints().Path(checkpoint.Last), &spoiled); err != nil {
		t.Fatal(err)
	}
	cfg.ResumeFromCheckpoint = true
	if _, err := Run(t.Context(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t)}); !errors.Is(err, ErrDiverged) {
		t.Fatalf("got %v, want diverged", err)
	}
	stopped := newest(t, exp)
	if stopped.Epoch != 1 || stopped.Position != 0 {
		t.Errorf("stopped at epoch %d, position %d; want 1, 0: both batches come again", stopped.Epoch, stopped.Position)
	}
}

// A validation loss that is not a number, while training goes well, is named and
// ends the run as what it is, not as one that got no better.
func TestValidationLossesThatAreNotNumbersAreNamed(t *testing.T) {
	cfg := tinyUNet(t)
	cfg.NumEpochs, cfg.Patience, cfg.SaveEvery = 2, 2, 0
	exp := newExperiment(t, cfg)
	mustRun(t, t.Context(), exp, cfg, Options{})
	s := newest(t, exp)
	for i, tensor := range s.Model {
		if strings.HasSuffix(tensor.Name, "running_var") { // which training does not use
			s.Model[i].Values = slices.Repeat([]float32{float32(math.NaN())}, len(tensor.Values))
		}
	}
	if err := checkpoint.Save(exp.Checkpoints().Path(checkpoint.Last), s); err != nil {
		t.Fatal(err)
	}
	best, err := os.ReadFile(exp.Checkpoints().Path(checkpoint.Best))
	if err != nil {
		t.Fatal(err)
	}
	cfg.NumEpochs, cfg.ResumeFromCheckpoint = 20, true
	w := &watch{}
	result, err := Run(t.Context(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t), Reporter: w})
	if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "validations in a row, the last after epoch 5") || result.Outcome != Diverged {
		t.Errorf("got %+v, %v, want diverged after epoch 5", result, err)
	}
	if !w.said("the validation loss of epoch 3 is NaN") || !w.said("goes on from best_model.pth, epoch 2") {
		t.Errorf("messages: %q", w.messages)
	}
	if after, _ := os.ReadFile(exp.Checkpoints().Path(checkpoint.Best)); !slices.Equal(after, best) {
		t.Error("the best weights are other ones")
	}
	if s := newest(t, exp); s.Epoch != 5 || s.Patience != 0 || isFinite(s.History.ValLoss[4]) || !isFinite(s.History.TrainLoss[4]) {
		t.Errorf("the newest State is of epoch %d, patience %d, with losses %v and %v", s.Epoch, s.Patience, s.History.TrainLoss, s.History.ValLoss)
	}
}
