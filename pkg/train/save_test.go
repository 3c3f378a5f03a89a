package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/durable"
	"rekindle/pkg/internal/bitwise"
)

// TestAnEpochIsWrittenOnce: the best, the periodic and the last checkpoint of an
// epoch are one file, and the next epoch does not change what keeps the name.
func TestAnEpochIsWrittenOnce(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs, cfg.SaveEvery = 1, 1
	exp := newExperiment(t, cfg)
	mustRun(t, t.Context(), exp, cfg, Options{})
	path := func(name string) string { return exp.Checkpoints().Path(name) }
	stat := func(name string) os.FileInfo {
		info, err := os.Stat(path(name))
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	if last := stat(checkpoint.Last); !os.SameFile(last, stat(checkpoint.Best)) || !os.SameFile(last, stat(checkpoint.Periodic(1))) {
		t.Error("the checkpoints of the only epoch are different files")
	}
	before, err := os.ReadFile(path(checkpoint.Periodic(1)))
	if err != nil {
		t.Fatal(err)
	}
	cfg.ResumeFromCheckpoint, cfg.NumEpochs = true, 2
	mustRun(t, t.Context(), exp, cfg, Options{})
	after, err := os.ReadFile(path(checkpoint.Periodic(1)))
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("checkpoint_epoch_001.pth changed with the second epoch (%v)", err)
	}
	if s := newest(t, exp); s.Epoch != 2 {
		t.Errorf("the newest State is of epoch %d, want 2", s.Epoch)
	}
	if left, _ := filepath.Glob(path(".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestOnlyTheLastPeriodicCheckpointsAreKept(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs, cfg.SaveEvery, cfg.KeepCheckpoints, cfg.Patience = 12, 1, 3, 0
	cfg.PatchesPerImage = 2
	exp := newExperiment(t, cfg)
	for _, name := range []string{checkpoint.Periodic(40), "checkpoint_epoch_1.pth", "checkpoint_epoch_001_mine.pth"} { // not of this run
		if err := os.WriteFile(exp.Checkpoints().Path(name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	emergency := exp.Checkpoints().Path(checkpoint.Emergency("interrupt", 99))
	s := fresh(mustNetwork(t, cfg), cfg.Seed)
	s.Config = cfg
	if err := checkpoint.Save(exp.Checkpoints().Path(checkpoint.Last), s); err != nil { // for the damaged ones to be set aside
		t.Fatal(err)
	}
	cfg.ResumeFromCheckpoint = true
	w := &watch{onBatch: func(epoch, _ int) {
		if epoch == 11 {
			later := *s
			later.Epoch = 98
			if err := checkpoint.Save(emergency, &later); err != nil {
				t.Error(err)
			}
		}
	}}
	mustRun(t, t.Context(), exp, cfg, Options{Reporter: w})
	files, err := filepath.Glob(exp.Checkpoints().Path("*.pth"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	want := []string{checkpoint.Best, checkpoint.Periodic(10), checkpoint.Periodic(11), checkpoint.Periodic(12), filepath.Base(emergency), checkpoint.Last}
	if !slices.Equal(files, want) {
		t.Errorf("kept %q, want %q", files, want)
	}
}

// TestRoomIsAskedForOnce: what will be replaced needs no room beside it.
func TestRoomIsAskedForOnce(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs, cfg.SaveEvery = 10, 2
	w := &saver{task: task{exp: newExperiment(t, cfg), cfg: cfg}}
	path := func(name string) string { return w.exp.Checkpoints().Path(name) }
	check := func(when string, epoch int, least, all int64) {
		t.Helper()
		if l, a := w.space(1000, epoch); l != least || a != all {
			t.Errorf("%s: %d bytes now and %d in all, want %d and %d", when, l, a, least, all)
		}
	}
	check("at first", 0, 3000, 8000)
	if err := os.WriteFile(path(checkpoint.Best), make([]byte, 1000), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path(checkpoint.Best), path(checkpoint.Last)); err != nil {
		t.Fatal(err)
	}
	check("best and last are one file", 4, 2000, 5000)
	os.Remove(path(checkpoint.Last))
	if err := os.WriteFile(path(checkpoint.Last), make([]byte, 900), 0o666); err != nil { // before an average was kept
		t.Fatal(err)
	}
	check("best and last are two, one of them smaller", 4, 1100, 4100)
	w.cfg.KeepCheckpoints = 1
	check("one periodic checkpoint is kept", 0, 1100, 3100)
}

// TestTheTrialSavesTheAverageToo: on a disk that has room without an average only,
// training does not start.
func TestTheTrialSavesTheAverageToo(t *testing.T) {
	cfg := tinyUNet(t)
	s := fresh(mustNetwork(t, cfg), cfg.Seed)
	s.Config = cfg
	plain, err := checkpoint.TrialSave(t.TempDir(), s)
	if err != nil {
		t.Fatal(err)
	}
	prepareAverage(s, 0.9)
	averaged, err := checkpoint.TrialSave(t.TempDir(), s)
	if err != nil || averaged < plain+plain/5 {
		t.Fatalf("%d bytes with an average, %d without (%v)", averaged, plain, err)
	}
	disk := t.TempDir()
	room := 3*(plain+averaged)/2/4096 + 16 // in the middle, and some for folders and settings
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%dk", room*4)); err != nil {
		t.Skipf("a small disk cannot be mounted here (%v): run the tests as root to try it", err)
	}
	t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	cfg.ExperimentsDir = filepath.Join(disk, "experiments")
	for _, decay := range []float64{0.9, 0} {
		cfg.EMADecay, cfg.NumEpochs, cfg.SaveEvery = decay, 1, 0
		_, err := Run(t.Context(), newExperiment(t, cfg), cfg, load(t, cfg), Options{Backend: goEngine(t)})
		if refused := err != nil && strings.Contains(err.Error(), "make room for"); refused != (decay > 0) {
			t.Errorf("EMADecay %g: %v", decay, err)
		}
	}
}

func TestACompletedRunKeepsItsBestEpochWhateverTheLossIsNow(t *testing.T) {
	cfg := tiny(t)
	exp := newExperiment(t, cfg)
	mustRun(t, t.Context(), exp, cfg, Options{})
	before, err := exp.LoadStats()
	if err != nil || before.BestEpoch == 0 {
		t.Fatal(before, err)
	}
	cfg.ResumeFromCheckpoint, cfg.LossAlpha = true, 8.4
	result, _ := mustRun(t, t.Context(), exp, cfg, Options{})
	after, err := exp.LoadStats()
	if err != nil || after.BestEpoch != before.BestEpoch || after.BestValLoss == nil || *after.BestValLoss != *before.BestValLoss {
		t.Errorf("the best epoch is %d now, it was %d (%v)", after.BestEpoch, before.BestEpoch, err)
	}
	if result.Outcome != Completed || result.BestEpoch != before.BestEpoch {
		t.Errorf("ended %q with best epoch %d", result.Outcome, result.BestEpoch)
	}
	// With more to do the losses are not compared.
	cfg.NumEpochs = 4
	if result, _ := mustRun(t, t.Context(), exp, cfg, Options{}); result.BestEpoch != 4 {
		t.Errorf("best epoch %d, want 4, the only one with this loss", result.BestEpoch)
	}
}

// TestADeviceThatIsGoneAtTheEndOfAnEpoch: nothing is saved under the epoch's name.
func TestADeviceThatIsGoneAtTheEndOfAnEpoch(t *testing.T) {
	cfg := tiny(t)
	cfg.SaveEvery, cfg.ValEvery = 1, 3
	_, want := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{})
	exp := newExperiment(t, cfg)
	f := &faulty{Backend: goEngine(t)}
	_, err := Run(t.Context(), exp, cfg, load(t, cfg), Options{Backend: f, Reporter: &watch{onBatch: func(epoch, batch int) {
		f.dead.Store(epoch == 2 && batch == 5)
	}}})
	if err == nil || !strings.Contains(err.Error(), "the device is gone") {
		t.Errorf("got %v, want that the device is gone", err)
	}
	if _, err := os.Stat(exp.Checkpoints().Path(checkpoint.Periodic(2))); err == nil {
		t.Error("weights of the first epoch are saved as those of the second")
	}
	if s := newest(t, exp); s.Epoch != 1 || s.Step != 5 || s.History.Len() != 1 {
		t.Errorf("the newest State is of %+v with %d epochs in its history, want epoch 1, step 5", s.Cursor, s.History.Len())
	}
	cfg.ResumeFromCheckpoint = true
	mustRun(t, t.Context(), exp, cfg, Options{})
	bitwise.SameTraining(t, newest(t, exp), want)
}

// TestSessionsWithALimitAddUpToTheStraightRun: each stops in time, with a checkpoint.
func TestSessionsWithALimitAddUpToTheStraightRun(t *testing.T) {
	cfg := tiny(t)
	_, want := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{})
	var clock time.Time
	for what, c := range map[string]struct {
		steps   int
		minutes float64
		batches []int // of each session
	}{
		"MaxSteps = 4":   {4, 0, []int{4, 4, 4, 3}},
		"MaxSteps = 5":   {5, 0, []int{5, 5, 5}}, // an epoch: it is validated
		"MaxMinutes = 2": {0, 2, []int{3, 3, 3, 3, 3}},
	} {
		cfg.MaxSteps, cfg.MaxMinutes, cfg.ResumeFromCheckpoint = c.steps, c.minutes, true
		exp := newExperiment(t, cfg)
		for i, n := range c.batches {
			w := &watch{onBatch: func(int, int) { clock = clock.Add(50 * time.Second) }}
			result, s := mustRun(t, t.Context(), exp, cfg, Options{Reporter: w, Now: func() time.Time { return clock }})
			outcome := LimitReached
			if i == len(c.batches)-1 {
				outcome = Completed
			}
			if result.Outcome != outcome || w.batches != n {
				t.Fatalf("%s: session %d ended %q after %d batches, want %q, %d", what, i+1, result.Outcome, w.batches, outcome, n)
			}
			if outcome == LimitReached && (!w.said(what) || filepath.Base(result.Checkpoint) != checkpoint.Last || int(s.Step) != w.batches*(i+1)) {
				t.Errorf("%s: saved %s of step %d, and said %q", what, result.Checkpoint, s.Step, w.messages)
			}
			if stats, err := exp.LoadStats(); err != nil || stats.Status != string(outcome) {
				t.Errorf("%s: the statistics say %q (%v)", what, stats.Status, err)
			}
		}
		bitwise.SameTraining(t, newest(t, exp), want)
	}
}

// TestWhatKilledRunsLeftUnfinishedIsRemoved begins a run where one was killed while it
// wrote its history, and another a checkpoint.
func TestWhatKilledRunsLeftUnfinishedIsRemoved(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 1
	exp := newExperiment(t, cfg)
	for _, path := range []string{exp.HistoryPath(), exp.Checkpoints().Path(checkpoint.Last)} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), durable.TempPrefix+filepath.Base(path)+"-1"), []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, context.Background(), exp, cfg, Options{})
	for _, dir := range []string{exp.Dir, exp.CheckpointsDir()} {
		if left, _ := filepath.Glob(filepath.Join(dir, durable.TempPrefix+"*")); len(left) > 0 {
			t.Errorf("%q is left", left)
		}
	}
}

// The statistics of the sessions before may be whole: a run does not begin where they
// cannot be read, and one that comes to its end there saves its State and says so.
func TestStatisticsThatCannotBeReadAreNotReplaced(t *testing.T) {
	cfg := tiny(t)
	exp := newExperiment(t, cfg)
	mustRun(t, context.Background(), exp, cfg, Options{})
	path := exp.StatsPath()
	unread := func() {
		if err := errors.Join(os.Rename(path, path+".whole"), os.Symlink(path, path)); err != nil { // a link to itself
			t.Error(err)
		}
	}
	cfg.ResumeFromCheckpoint, cfg.NumEpochs = true, cfg.NumEpochs+1
	w := &watch{}
	w.onBatch = func(int, int) {
		if w.batches == 1 {
			unread()
		}
	}
	for _, moment := range []string{"in the middle", "before"} {
		_, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t), Reporter: w})
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", moment, err)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Fatalf("%s: it was replaced (%v)", moment, err)
		}
		if s := newest(t, exp); s.Epoch != cfg.NumEpochs {
			t.Errorf("%s: epoch %d is saved, want %d", moment, s.Epoch, cfg.NumEpochs)
		}
	}
	if err := os.Rename(path+".whole", path); err != nil {
		t.Fatal(err)
	}
	mustRun(t, context.Background(), exp, cfg, Options{})
	if stats, err := exp.LoadStats(); err != nil || len(stats.Sessions) != 2 || stats.EpochsCompleted != cfg.NumEpochs {
		t.Errorf("of after: %+v, %v", stats, err)
	}
}
