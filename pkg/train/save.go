package train

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/machine"
)

// saver writes checkpoints, and what is told of a run beside them.
type saver struct {
	task
	trial time.Duration // what saving took before the first step
	saved time.Time     // when it was done last
	file  string        // the checkpoint that was read or written last

	folder *os.File // of the checkpoints, see [saver.hold]
	lock   *experiment.Lock
}

// epoch writes the checkpoints of a completed epoch, once for all their names,
// then the history. The last checkpoint comes after the best one: a run killed
// between the two resumes from the best, which is the same State, and never finds
// best_model.pth older than the State says.
func (w *saver) epoch(s *checkpoint.State, validated bool) error {
	var names []string
	if validated && s.BestEpoch == s.Epoch {
		names = append(names, checkpoint.Best)
	}
	if w.cfg.SaveEvery > 0 && s.Epoch%w.cfg.SaveEvery == 0 {
		names = append(names, checkpoint.Periodic(s.Epoch))
	}
	names = append(names, checkpoint.Last)
	if err := w.put(s, names[0], "epoch"); err != nil {
		return err
	}
	dir := w.exp.Checkpoints()
	for _, name := range names[1:] {
		if err := durable.Link(w.file, dir.Path(name)); err != nil {
			return fmt.Errorf("train: %w", err)
		}
	}
	w.file = dir.Path(checkpoint.Last)
	if err := w.saveHistory(s); err != nil {
		return err
	}
	if !validated || !isFinite(s.History.ValLoss[s.Epoch-1]) { // weights of no use are no reason to remove others
		return nil
	}
	err := dir.RemoveSuperseded()
	if w.cfg.KeepCheckpoints > 0 {
		err = errors.Join(err, dir.Prune(s.Epoch, w.cfg.KeepCheckpoints))
	}
	if err != nil {
		w.report.Message("⚠️  %v", err)
	}
	return nil
}

// due reports whether SaveEveryMinutes have passed since the last save, which
// bounds what a power cut can cost.
func (w *saver) due() bool {
	every := time.Duration(w.cfg.SaveEveryMinutes * float64(time.Minute))
	return every > 0 && w.now().Sub(w.saved) >= every
}

// put writes one checkpoint.
func (w *saver) put(s *checkpoint.State, name, reason string) error {
	if err := w.follow(); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if w.lock != nil {
		if err := w.lock.Keep(w.exp); err != nil {
			return fmt.Errorf("train: %w", err)
		}
	}
	path := w.exp.Checkpoints().Path(name)
	s.Reason = reason
	if err := checkpoint.Save(path, s); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	w.file, w.saved = path, w.now()
	return nil
}

// emergency writes what a run is stopped with, and its history.
func (w *saver) emergency(s *checkpoint.State, why, reason string) error {
	name := checkpoint.Emergency(why, s.Epoch+1)
	if err := w.put(s, name, reason); err != nil {
		if err := w.elsewhere(s, name, err); err != nil {
			return fmt.Errorf("the emergency checkpoint could not be saved: %w", err)
		}
		_ = w.saveHistory(s) // it may fail as the checkpoint did, and is in that
		return nil
	}
	return w.saveHistory(s)
}

// saveHistory writes history.json; what a person has written into it is kept.
func (t *task) saveHistory(s *checkpoint.State) error {
	kept, err := t.exp.SaveHistory(&s.History)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if kept != "" {
		t.report.Message("ℹ️  history.json held other rows than training has from here on; it is kept as %s", filepath.Base(kept))
	}
	return nil
}

// preflight finds out before the first step whether checkpoints can be saved:
// it clears what killed runs left, writes a whole checkpoint and takes it away
// again, and compares the free disk space with what the run is going to write.
func (w *saver) preflight(s *checkpoint.State) error {
	dir := w.exp.CheckpointsDir()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if err := w.exp.Sweep(); err != nil {
		return fmt.Errorf("train: the folder for checkpoints cannot be written: %w", err)
	}
	began := time.Now()
	size, err := checkpoint.TrialSave(dir, s)
	if err != nil {
		return fmt.Errorf("train: a trial checkpoint could not be saved, so training did not start: %w", err)
	}
	w.trial, w.saved = time.Since(began), w.now()
	if err := w.hold(); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	free, err := machine.FreeDisk(dir)
	if err != nil {
		return nil // a file system that does not tell its free space is not an obstacle
	}
	least, all := w.space(size, s.Epoch)
	switch {
	case free < size: // and yet that much was written a moment ago: a quota, compression, or a file system that does not know
		w.report.Message("⚠️  %s says that it has %d MB free, though a checkpoint of %d MB could be written just now; training begins, and what is saved stays if the disk fills up", dir, free>>20, size>>20)
	case free < least:
		return fmt.Errorf("train: %s has %d MB free, and checkpoints of this network take %d MB each; make room for %d MB", dir, free>>20, size>>20, least>>20+1)
	case free < all:
		w.report.Message("⚠️  The disk has %d MB free, but this run will write about %d MB of checkpoints; raise SaveEvery, set KeepCheckpoints, or make room", free>>20, all>>20)
	}
	return nil
}

// space is how much of the disk checkpoints of size bytes will take beside what
// they replace: the least to go on with, and all until the run is done.
func (w *saver) space(size int64, epoch int) (least, all int64) {
	dir := w.exp.Checkpoints()
	// The best, the last, and the next one before it replaces the old.
	least = 3 * size
	var there []os.FileInfo
	for _, name := range []string{checkpoint.Best, checkpoint.Last} {
		info, err := os.Stat(dir.Path(name))
		if err == nil && !(len(there) > 0 && os.SameFile(info, there[0])) {
			there = append(there, info)
			least -= min(info.Size(), size)
		}
	}
	all = least
	if w.cfg.SaveEvery > 0 {
		files := w.cfg.NumEpochs/w.cfg.SaveEvery - epoch/w.cfg.SaveEvery
		if keep := w.cfg.KeepCheckpoints; keep > 0 {
			files = min(files, keep+1)
		}
		all += int64(files) * size
	}
	return least, all
}

// grace is how long a step that is under way may go on after an interruption.
// The program is killed 5 s after Jupyter's interrupt, and saving needs the rest:
// beside a step that goes on it took up to four times as long as before the first.
func (w *saver) grace() time.Duration {
	const enough = 4 * time.Second // of the 5
	return min(max(enough-5*w.trial, 0), 1500*time.Millisecond)
}

// record adds a call of training that ended with s to the experiment's statistics.
func (w *saver) record(call experiment.Session, s *checkpoint.State) error {
	stats, err := w.exp.LoadStats()
	if errors.Is(err, experiment.ErrInvalidStats) {
		w.report.Message("⚠️  %v", err)
	} else if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	stats.Status, stats.EpochsCompleted, stats.BestEpoch, stats.BestValLoss = call.Status, s.Epoch, s.BestEpoch, nil
	if s.HasBest() {
		best := s.BestLoss
		stats.BestValLoss = &best
	}
	stats.TotalSeconds = 0 // of the history, so that nothing counts twice
	for _, t := range s.History.EpochTime {
		if !math.IsNaN(t) {
			stats.TotalSeconds += t
		}
	}
	call.Ended, call.ToEpoch = w.now(), s.Epoch
	stats.Sessions = append(stats.Sessions, call)
	if err := w.exp.SaveStats(stats); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}
