package train

import (
	"math"
	"testing"

	"rekindle/pkg/internal/bitwise"
)

// The tiny run's epochs have 18 patches in batches of 4, and 3 to validate with,
// of which 2 are computed at once: every last batch is partial.
func TestFilledUpBatchesTrainTheSameWithOneCompilation(t *testing.T) {
	cfg := tiny(t)
	train := func(pad bool) (losses, validation []float64, compiled int64) {
		c := &faulty{Backend: goEngine(t)}
		_, s := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{Backend: c, FillUp: pad})
		return s.History.TrainLoss, s.History.ValLoss, c.compiled.Load()
	}
	for _, accumulate := range []int{1, 2} {
		cfg.AccumulationSteps = accumulate
		wantTrain, wantVal, before := train(false)
		gotTrain, gotVal, after := train(true)
		for i := range wantTrain {
			for _, c := range [][2]float64{{gotTrain[i], wantTrain[i]}, {gotVal[i], wantVal[i]}} {
				if math.Abs(c[0]-c[1]) > 1e-4*c[1] {
					t.Errorf("epoch %d, AccumulationSteps %d: loss %g with filled up batches, %g without", i+1, accumulate, c[0], c[1])
				}
			}
		}
		// A step and an evaluation; with accumulation gradients and their
		// application instead of a step.
		if want := int64(1 + accumulate); after != want {
			t.Errorf("AccumulationSteps %d: %d compilations with filled up batches, want %d", accumulate, after, want)
		}
		if before <= after {
			t.Errorf("AccumulationSteps %d: %d compilations without filling up; nothing is shown", accumulate, before)
		}
	}
}

func TestInterruptedRunsWithFilledUpBatchesEqualTheStraightRun(t *testing.T) {
	cfg := tiny(t)
	_, want := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{FillUp: true})
	exp := newExperiment(t, cfg)
	cfg.ResumeFromCheckpoint = true
	for outcome := Interrupted; outcome == Interrupted; {
		ctx, w := interruptAfter(2)
		result, _ := mustRun(t, ctx, exp, cfg, Options{Reporter: w, FillUp: true})
		outcome = result.Outcome
	}
	bitwise.SameTraining(t, newest(t, exp), want)
}

func TestOutOfMemoryAndFilledUpBatches(t *testing.T) {
	cfg := tiny(t)
	cfg.OOMPolicy = "halve"
	f := &faulty{Backend: goEngine(t)}
	f.execute.Store(2)
	result, state := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{Backend: f, FillUp: true})
	if result.Outcome != Completed || state.MicroBatch != 2 {
		t.Errorf("ended as %q with micro-batches of %d, want completed with 2", result.Outcome, state.MicroBatch)
	}
}
