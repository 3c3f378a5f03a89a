package train

import (
	"context"
	"math"
	"slices"
	"testing"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/internal/bitwise"
)

// TestAccumulationStepsAreOneStepOfTheWholeBatch: batches added up are the
// micro-batches of one large batch, bit for bit; and but for batch norm, whose
// statistics are those of the parts, they are the large batch itself.
func TestAccumulationStepsAreOneStepOfTheWholeBatch(t *testing.T) {
	cfg := tiny(t)
	cfg.BatchSize, cfg.AccumulationSteps = 2, 3
	_, accumulated := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{})
	if accumulated.Step != 9 { // 18 patches in steps of 6, three epochs
		t.Errorf("%d optimizer steps, want 9", accumulated.Step)
	}
	large := cfg
	large.BatchSize, large.AccumulationSteps, large.OOMPolicy = 6, 1, "halve"
	exp := newExperiment(t, large)
	start := fresh(mustNetwork(t, large), large.Seed)
	start.MicroBatch, start.Config = 2, large
	if err := checkpoint.Save(exp.Checkpoints().Path(checkpoint.Last), start); err != nil {
		t.Fatal(err)
	}
	large.ResumeFromCheckpoint = true
	_, parts := mustRun(t, t.Context(), exp, large, Options{})
	for i, want := range parts.Model {
		if got := accumulated.Model[i]; !slices.Equal(got.Values, want.Values) {
			t.Errorf("%s differs", got.Name)
		}
	}
	if got, want := accumulated.History.TrainLoss, parts.History.TrainLoss; !slices.Equal(got, want) {
		t.Errorf("training losses %v, want %v", got, want)
	}

	// The loss of the first epoch is close to that of whole batches.
	large.ResumeFromCheckpoint = false
	_, whole := mustRun(t, t.Context(), newExperiment(t, large), large, Options{})
	a, b := accumulated.History.At(0).TrainLoss, whole.History.At(0).TrainLoss
	if a == b || math.Abs(a-b) > 0.2*b {
		t.Errorf("training loss %g with parts, %g with whole batches", a, b)
	}
}

func TestAccumulatedStepsSurviveInterruption(t *testing.T) {
	cfg := tiny(t)
	cfg.BatchSize, cfg.AccumulationSteps = 2, 2
	_, straight := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{})
	exp := newExperiment(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	mustRun(t, ctx, exp, cfg, Options{Reporter: &watch{onBatch: func(_, batch int) {
		if batch == 3 {
			cancel()
		}
	}}})
	cfg.ResumeFromCheckpoint = true
	_, pieces := mustRun(t, t.Context(), exp, cfg, Options{})
	bitwise.SameTraining(t, pieces, straight)
}
