package compute

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/experiment"
)

// TestTimeThatARunWasStoppedIsNotCounted stops a run for a while, as Ctrl+Z does, and
// lets it go on.
func TestTimeThatARunWasStoppedIsNotCounted(t *testing.T) {
	cfg := settings(t)
	cfg.PatchesPerImage = 40 // ten batches
	cmd := training(t, cfg, os.Args[0])
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	saved(t, cfg, checkpoint.Last, 30*time.Second)
	names, err := experiment.List(cfg)
	if err != nil || len(names) != 1 {
		t.Fatalf("experiments: %q, %v", names, err)
	}
	exp := &experiment.Experiment{Dir: filepath.Join(cfg.ExperimentsDir, cfg.Model, cfg.Degradation, names[0])}
	const stop = 10 * time.Second
	cmd.Process.Signal(syscall.SIGSTOP)
	began := time.Now()
	time.Sleep(stop)
	cmd.Process.Signal(syscall.SIGCONT)
	var p experiment.Progress
	for deadline := time.Now().Add(ceiling); !p.Moved.After(began.Add(stop)) || p.SecondsLeft == 0; time.Sleep(20 * time.Millisecond) {
		if p, err = exp.LoadProgress(); time.Now().After(deadline) {
			t.Fatalf("it does not go on: %+v, %v", p, err)
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	done := (p.Epoch-1)*p.Batches + p.Batch
	if pace := p.SecondsLeft / float64(p.NumEpochs*p.Batches-done); pace*float64(done) > stop.Seconds()/2 {
		t.Errorf("%g s are left of %+v", p.SecondsLeft, p)
	}
	h, err := exp.History()
	if err != nil {
		t.Fatal(err)
	}
	for _, took := range h.EpochTime {
		if took > stop.Seconds()/2 {
			t.Errorf("the epochs took %v s, though it was stopped for %v", h.EpochTime, stop)
		}
	}
	s, err := checkpoint.Load(exp.Checkpoints().Path(checkpoint.Last))
	if err != nil {
		t.Fatal(err)
	}
	if took := s.Partial.Seconds; took <= 0 && s.Position > 0 || took > stop.Seconds()/2 {
		t.Errorf("the epoch under way took %g s", took)
	}
}
