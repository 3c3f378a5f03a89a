package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"rekindle/pkg/checkpoint"
	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
	"rekindle/pkg/internal/bitwise"
	"rekindle/pkg/internal/disk"
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

	small := disk.Small(t, "6m")
	cfg.ExperimentsDir = filepath.Join(small, "experiments")
	exp := newExperiment(t, cfg)
	elsewhere := t.TempDir()
	t.Chdir(elsewhere)

	makeRoom := disk.Fill(t, small)
	w := &watch{}
	_, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t), Reporter: w})
	if err == nil || w.batches > 0 || !strings.Contains(err.Error(), "training did not start") {
		t.Errorf("on a full disk: %v after %d batches, want an error before the first", err, w.batches)
	}
	makeRoom()

	w.onBatch = func(epoch, batch int) {
		if epoch == 2 && batch == 2 {
			makeRoom = disk.Fill(t, small)
		}
	}
	_, err = Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t), Reporter: w})
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("the disk filled up: %v, want no space left on device", err)
	}
	if s := newest(t, exp); s.Epoch != 1 {
		t.Errorf("the newest state on the full disk is of epoch %d, want 1", s.Epoch)
	}
	makeRoom()
	// The epoch that the disk had no room for lies in another place, which is named.
	kept, _ := filepath.Glob(filepath.Join(elsewhere, exp.Name()+"_emergency_checkpoint_error_epoch_*.pth"))
	if len(kept) != 1 || !w.said("What was trained is saved as "+kept[0]) || !strings.Contains(err.Error(), kept[0]) {
		t.Fatalf("saved elsewhere: %q; %v; %q", kept, err, w.messages)
	}
	if s, err := checkpoint.Load(kept[0]); err != nil || s.Epoch != 2 {
		t.Errorf("elsewhere is saved: %+v, %v, want epoch 2", s, err)
	}
	cfg.ResumeFromCheckpoint = true
	w.messages = nil
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	mustRun(t, stopped, exp, cfg, Options{Reporter: w})
	if !w.said(kept[0] + " holds newer training") {
		t.Errorf("nothing was said of newer training in another place: %q", w.messages)
	}
	if err := os.Rename(kept[0], filepath.Join(exp.CheckpointsDir(), "moved.pth")); err != nil {
		if err := durable.Copy(kept[0], filepath.Join(exp.CheckpointsDir(), "moved.pth")); err != nil {
			t.Fatal(err)
		}
	}

	w.messages = nil
	_, got := mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	bitwise.SameTraining(t, got, want)
	if w.said("holds newer training") {
		t.Errorf("after it was moved: %q", w.messages)
	}
}

// TestAFolderIsRenamedOrRemovedWhileItIsTrained does it in the middle of the second
// epoch of three: no epoch is lost.
func TestAFolderIsRenamedOrRemovedWhileItIsTrained(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 3
	_, want := mustRun(t, context.Background(), newExperiment(t, cfg), cfg, Options{})
	for _, c := range []struct {
		name, said string
		disturb    func(t *testing.T, dir string) (now string)
	}{
		{"renamed", "is called", func(t *testing.T, dir string) string {
			now := filepath.Join(filepath.Dir(dir), "my best run")
			if err := os.Rename(dir, now); err != nil {
				t.Fatal(err)
			}
			return now
		}},
		{"a folder above it renamed", "is called", func(t *testing.T, dir string) string {
			above := filepath.Dir(filepath.Dir(dir))
			if err := os.Rename(above, above+" of last year"); err != nil {
				t.Fatal(err)
			}
			return filepath.Join(above+" of last year", filepath.Base(filepath.Dir(dir)), filepath.Base(dir))
		}},
		{"lock file removed", "", func(t *testing.T, dir string) string {
			if err := os.Remove(filepath.Join(dir, ".lock")); err != nil {
				t.Fatal(err)
			}
			return dir
		}},
		{"removed", "was removed while it was trained", func(t *testing.T, dir string) string {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			return dir
		}},
	} {
		cfg.ExperimentsDir = t.TempDir()
		exp := newExperiment(t, cfg)
		now := exp.Dir
		lock, err := exp.Lock()
		if err != nil {
			t.Fatal(err)
		}
		w := &watch{}
		w.onBatch = func(epoch, batch int) {
			if epoch == 2 && batch == 2 {
				now = c.disturb(t, exp.Dir)
			}
			if epoch == 3 {
				var locked *experiment.LockedError
				if _, err := (&experiment.Experiment{Dir: now}).Lock(); !errors.As(err, &locked) {
					t.Errorf("%s: another process that wants to train it, too, gets %v", c.name, err)
				}
			}
		}
		r, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t), Reporter: w, Lock: lock})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if r.Exp.Dir != now || filepath.Dir(filepath.Dir(r.Checkpoint)) != now {
			t.Errorf("%s: the result is said to be in %s (%s), want %s", c.name, r.Exp.Dir, r.Checkpoint, now)
		}
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
		if c.said != "" && !w.said(c.said) {
			t.Errorf("%s: said %q", c.name, w.messages)
		}
		at := &experiment.Experiment{Dir: now}
		bitwise.SameTraining(t, newest(t, at), want)
		if h, err := history.Load(at.HistoryPath()); err != nil || h.Len() != 3 {
			t.Errorf("%s: the history: %v, %v", c.name, h, err)
		}
		if stats, err := at.LoadStats(); err != nil || stats.Status != "completed" {
			t.Errorf("%s: the statistics: %+v, %v", c.name, stats, err)
		}
		if e, err := experiment.Open(now); err != nil || !e.HasCheckpoint() {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
