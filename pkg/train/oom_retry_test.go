package train

import (
	"context"
	"errors"
	"strings"
	"testing"

	"rekindle/pkg/machine"
)

// A step that goes over the limit cannot be stopped, only given up. Its memory
// must be free before the same batch is tried in parts, or no part ever fits.
func TestHalvingWorksUnderAMemoryLimit(t *testing.T) {
	cfg := tinyUNet(t)
	cfg.ModelFeatures, cfg.BatchSize, cfg.PatchSize, cfg.PatchesPerImage = 4, 64, 40, 32 // holds 200 MB
	cfg.OOMPolicy, cfg.NumEpochs = "halve", 1
	giveBack()
	now, _ := machine.ProcessMemory()
	cfg.MemoryLimitMB = int(now/machine.MB) + 80
	w := &watch{}
	result, saved := mustRun(t, context.Background(), newExperiment(t, cfg), cfg, Options{Reporter: w})
	if result.Outcome != Completed || saved.MicroBatch == 0 {
		t.Errorf("ended %q in parts of %d samples, want completed in parts; messages: %q", result.Outcome, saved.MicroBatch, w.messages)
	}
}

func TestHalvingCoversValidationAndEndsWithThePolicy(t *testing.T) {
	cfg := tiny(t)
	cfg.OOMPolicy, cfg.NumEpochs = "halve", 2
	exp := newExperiment(t, cfg)
	f := &faulty{Backend: goEngine(t)}
	f.execute.Store(6) // five batches of training, then the validation
	result, saved := mustRun(t, context.Background(), exp, cfg, Options{Backend: f})
	if result.Outcome != Completed || saved.MicroBatch != 2 {
		t.Fatalf("ended %q in parts of %d samples, want completed in parts of 2", result.Outcome, saved.MicroBatch)
	}
	cfg.ResumeFromCheckpoint, cfg.NumEpochs = true, 3
	w := &watch{}
	if _, saved = mustRun(t, context.Background(), exp, cfg, Options{Reporter: w}); saved.MicroBatch != 2 || !w.said("in parts of 2 samples") {
		t.Errorf("resumed in parts of %d samples, want 2; messages: %q", saved.MicroBatch, w.messages)
	}
	cfg.OOMPolicy, cfg.NumEpochs = "stop", 4
	if _, saved = mustRun(t, context.Background(), exp, cfg, Options{}); saved.MicroBatch != 0 {
		t.Errorf("with OOMPolicy \"stop\" batches are in parts of %d samples, want whole ones", saved.MicroBatch)
	}
}

// Advice that cannot help sends a person round in circles.
func TestAdviceAfterOutOfMemoryCanHelp(t *testing.T) {
	for name, c := range map[string]struct {
		batch, limitMB int
		policy, want   string
	}{
		"half the batch":              {4, 0, "stop", "set cfg.BatchSize = 2 and"},
		"one sample":                  {1, 0, "stop", "set a smaller cfg.PatchSize and"},
		"parts of one sample":         {4, 0, "halve", "set a smaller cfg.PatchSize and"},
		"a limit below what is there": {4, 5, "stop", "set a larger cfg.MemoryLimitMB or a smaller cfg.PatchSize and"},
	} {
		cfg := tiny(t)
		cfg.BatchSize, cfg.MemoryLimitMB, cfg.OOMPolicy = c.batch, c.limitMB, c.policy
		f := &faulty{Backend: goEngine(t)}
		if c.limitMB == 0 {
			f.always.Store(true)
		}
		w := &watch{}
		_, err := Run(context.Background(), newExperiment(t, cfg), cfg, load(t, cfg), Options{Backend: f, Reporter: w})
		if !errors.Is(err, ErrOutOfMemory) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, c.want)
		}
		if c.limitMB > 0 && (!w.said("before the first batch") || w.said("should fit")) {
			t.Errorf("%s: messages: %q", name, w.messages)
		}
	}
}
