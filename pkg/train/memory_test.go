package train

import (
	"context"
	"errors"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"rekindle/pkg/internal/bitwise"
	"rekindle/pkg/internal/gogc"
	"rekindle/pkg/machine"
)

func TestOutOfMemoryLosesNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		arm  func(*faulty)
	}{
		{"first compilation", func(f *faulty) { f.compile.Store(1) }},
		{"first step", func(f *faulty) { f.execute.Store(1) }},
		{"mid-epoch", func(f *faulty) { f.execute.Store(3) }},
		{"compilation for the last partial batch", func(f *faulty) { f.compile.Store(2) }},
		{"last partial batch", func(f *faulty) { f.execute.Store(5) }},
		{"validation", func(f *faulty) { f.execute.Store(6) }},
		{"second epoch", func(f *faulty) { f.execute.Store(9) }},
		{"transfer of a batch", func(f *faulty) { f.transfer.Store(215) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := tinyUNet(t)
			cfg.NumEpochs = 2
			exp := newExperiment(t, cfg)
			f := &faulty{Backend: goEngine(t)}
			c.arm(f)
			w := &watch{}
			result, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: f, Reporter: w})
			if !errors.Is(err, ErrOutOfMemory) || result == nil || result.Outcome != OutOfMemory {
				t.Fatalf("got %+v, %v, want out of memory", result, err)
			}
			if !w.said("OUT OF MEMORY") || !w.said("BatchSize = 2") {
				t.Errorf("no advice was printed: %q", w.messages)
			}
			if !strings.Contains(filepath.Base(result.Checkpoint), "emergency_checkpoint_oom_epoch_") {
				t.Errorf("saved as %s", result.Checkpoint)
			}
			saved := newest(t, exp)
			if saved.Epoch*18+saved.Position < (w.batches-1)*4 {
				t.Errorf("%d batches were trained, the checkpoint is at epoch %d position %d", w.batches, saved.Epoch, saved.Position)
			}

			cfg.ResumeFromCheckpoint, cfg.BatchSize = true, 2
			result, _ = mustRun(t, context.Background(), exp, cfg, Options{})
			if result.Outcome != Completed || result.History.Len() != 2 {
				t.Errorf("going on with a smaller batch ended %q with %d epochs", result.Outcome, result.History.Len())
			}
		})
	}
}

func TestTheMemoryLimitSpeaksBeforeTheKernel(t *testing.T) {
	cfg := tinyUNet(t)
	cfg.ModelFeatures, cfg.BatchSize = 16, 16
	now, _ := machine.ProcessMemory()
	cfg.MemoryLimitMB = int(now/machine.MB) + 20
	limit := debug.SetMemoryLimit(-1)
	exp := newExperiment(t, cfg)
	w := &watch{}
	result, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t), Reporter: w})
	if !errors.Is(err, ErrOutOfMemory) || result == nil || result.Outcome != OutOfMemory {
		t.Fatalf("got %+v, %v, want out of memory", result, err)
	}
	if !w.said("the limit is") || !w.said("should fit") {
		t.Errorf("no numbers in the advice: %q", w.messages)
	}
	if saved := newest(t, exp); saved.Epoch != 0 {
		t.Errorf("saved at epoch %d", saved.Epoch)
	}
	if now := debug.SetMemoryLimit(-1); now != limit {
		t.Errorf("the process is left with a limit of %d bytes, it was %d", now, limit)
	}
}

func TestOutOfMemoryDuringResumeLosesNothing(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 2
	_, want := mustRun(t, context.Background(), newExperiment(t, cfg), cfg, Options{})
	exp := newExperiment(t, cfg)
	f := &faulty{Backend: goEngine(t)}
	f.execute.Store(8)
	Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: f})
	cfg.ResumeFromCheckpoint = true
	before := newest(t, exp)
	for _, arm := range []func(*faulty){
		func(f *faulty) { f.compile.Store(1) }, func(f *faulty) { f.transfer.Store(1) }, func(f *faulty) { f.execute.Store(1) },
	} {
		f := &faulty{Backend: goEngine(t)}
		arm(f)
		if result, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: f}); !errors.Is(err, ErrOutOfMemory) || result == nil {
			t.Fatalf("got %v, %v", result, err)
		}
		bitwise.SameTraining(t, newest(t, exp), before)
	}
	_, got := mustRun(t, context.Background(), exp, cfg, Options{})
	bitwise.SameTraining(t, got, want)
}

func TestAfterOutOfMemoryTheSameBatchSizeGivesTheStraightRun(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 2
	_, want := mustRun(t, context.Background(), newExperiment(t, cfg), cfg, Options{})
	exp := newExperiment(t, cfg)
	f := &faulty{Backend: goEngine(t)}
	f.execute.Store(8)
	if result, _ := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: f}); result == nil || result.Outcome != OutOfMemory {
		t.Fatal("memory did not run out")
	}
	cfg.ResumeFromCheckpoint = true
	_, got := mustRun(t, context.Background(), exp, cfg, Options{})
	bitwise.SameTraining(t, got, want)
}

func TestHalvePolicyGoesOnWithTheSameBatchesAndSchedule(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs, cfg.OOMPolicy = 2, "halve"
	exp := newExperiment(t, cfg)
	f := &faulty{Backend: goEngine(t)}
	f.execute.Store(3)
	w := &watch{}
	result, saved := mustRun(t, context.Background(), exp, cfg, Options{Backend: f, Reporter: w})
	if result.Outcome != Completed || saved.MicroBatch != 2 || saved.Step != 10 {
		t.Errorf("ended %q with micro-batches of %d after %d steps, want completed, 2, 10", result.Outcome, saved.MicroBatch, saved.Step)
	}
	if !w.said("parts of 2 samples") {
		t.Errorf("the change was not announced: %q", w.messages)
	}
}

func TestGarbageIsLimitedWhileTraining(t *testing.T) {
	now := gogc.Set(t, 77)
	cfg := tiny(t)
	during := 77
	mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{Reporter: &watch{onBatch: func(int, int) { during = now() }}})
	if during == 77 || now() != 77 {
		t.Errorf("%d percent while training, %d afterwards, where it was 77", during, now())
	}
}
