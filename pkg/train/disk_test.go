package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"rekindle/pkg/internal/bitwise"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAFullDiskLosesNothing runs on a small tmpfs: full before the start, and
// getting full in the middle of an epoch. What was saved stays, and with room
// again the run ends as the undisturbed one.
func TestAFullDiskLosesNothing(t *testing.T) {
	cfg := tiny(t)
	cfg.SaveEvery = 0
	_, want := mustRun(t, context.Background(), newExperiment(t, cfg), cfg, Options{})

	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=6m"); err != nil {
		t.Skipf("a small disk cannot be mounted here (%v): run the tests as root to try a full disk", err)
	}
	t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	cfg.ExperimentsDir = filepath.Join(disk, "experiments")
	exp := newExperiment(t, cfg)
	filler := filepath.Join(disk, "filler")
	fill := func() {
		f, err := os.Create(filler)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
	}

	fill()
	w := &watch{}
	_, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t), Reporter: w})
	if err == nil || w.batches > 0 || !strings.Contains(err.Error(), "training did not start") {
		t.Errorf("on a full disk: %v after %d batches, want an error before the first", err, w.batches)
	}
	os.Remove(filler)

	w.onBatch = func(epoch, batch int) {
		if epoch == 2 && batch == 2 {
			fill()
		}
	}
	_, err = Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t), Reporter: w})
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("the disk filled up: %v, want no space left on device", err)
	}
	if s := newest(t, exp); s.Epoch != 1 {
		t.Errorf("the newest state on the full disk is of epoch %d, want 1", s.Epoch)
	}
	os.Remove(filler)

	cfg.ResumeFromCheckpoint = true
	_, got := mustRun(t, context.Background(), exp, cfg, Options{})
	bitwise.SameTraining(t, got, want)
}
