package train

import (
	"context"
	"testing"
)

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

// Lowering PatchesPerImage, or removing pictures, in mid-epoch can leave fewer
// patches than were trained on: the run must go on all the same.
func TestARunGoesOnWithFewerPatchesThanItHasUsed(t *testing.T) {
	cfg := tiny(t)
	exp := newExperiment(t, cfg)
	ctx, w := interruptAfter(4) // 16 of 18 patches
	mustRun(t, ctx, exp, cfg, Options{Reporter: w})
	cfg.ResumeFromCheckpoint, cfg.PatchesPerImage = true, 3 // 6 patches
	w = &watch{}
	result, saved := mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	if result.Outcome != Completed || result.History.Len() != 3 || saved.Step != 4+2*2 {
		t.Errorf("ended %q with %d epochs after %d steps, want completed, 3, 8", result.Outcome, result.History.Len(), saved.Step)
	}
	if !w.said("Epoch 1 now has 6 patches, and 16 were trained on") {
		t.Errorf("messages: %q", w.messages)
	}
}
