package train

import (
	"fmt"
	"math"
	"os"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/machine"
)

// saveEpoch writes the checkpoints of a completed epoch, then the history. The
// last checkpoint comes after the best one: a run killed between the two resumes
// from the best, which is the same State, and never finds best_model.pth older
// than the State says.
func (r *run) saveEpoch(epoch int, validated bool) error {
	s := r.snapshot()
	s.Reason = "epoch"
	if validated && s.BestEpoch == epoch {
		if err := r.save(s, checkpoint.Best); err != nil {
			return err
		}
	}
	if r.cfg.SaveEvery > 0 && epoch%r.cfg.SaveEvery == 0 {
		if err := r.save(s, checkpoint.Periodic(epoch)); err != nil {
			return err
		}
	}
	if err := r.save(s, checkpoint.Last); err != nil {
		return err
	}
	if err := s.History.Save(r.exp.HistoryPath()); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if validated && isFinite(s.History.ValLoss[epoch-1]) { // weights of no use are no reason to remove others
		if err := checkpoint.RemoveSuperseded(r.exp.CheckpointsDir()); err != nil {
			r.report.Message("⚠️  %v", err)
		}
	}
	return nil
}

// saveIfDue writes last_checkpoint.pth in mid-epoch when SaveEveryMinutes have
// passed since the last save, which bounds what a power cut can cost.
func (r *run) saveIfDue() error {
	every := time.Duration(r.cfg.SaveEveryMinutes * float64(time.Minute))
	if every <= 0 || r.now().Sub(r.lastSave) < every {
		return nil
	}
	s := r.snapshot()
	s.Reason = "in mid-epoch"
	return r.save(s, checkpoint.Last)
}

func (r *run) save(s *checkpoint.State, name string) error {
	path := checkpoint.Path(r.exp.CheckpointsDir(), name)
	if err := checkpoint.Save(path, s); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	r.lastFile, r.lastSave = path, r.now()
	return nil
}

// preflight finds out before the first step whether checkpoints can be saved:
// it clears what killed runs left, writes a whole checkpoint and takes it away
// again, and compares the free disk space with what the run is going to write.
func (r *run) preflight() error {
	dir := r.exp.CheckpointsDir()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if err := durable.Sweep(dir); err != nil {
		return fmt.Errorf("train: the folder for checkpoints cannot be written: %w", err)
	}
	began := time.Now()
	size, err := checkpoint.TrialSave(dir, r.state)
	if err != nil {
		return fmt.Errorf("train: a trial checkpoint could not be saved, so training did not start: %w", err)
	}
	r.trialSave = time.Since(began)
	free, err := machine.FreeDisk(dir)
	if err != nil {
		return nil // a file system that does not tell its free space is not an obstacle
	}
	files := int64(3) // best, last, and the next one before it replaces the old
	if r.cfg.SaveEvery > 0 {
		files += int64(r.cfg.NumEpochs/r.cfg.SaveEvery - r.state.Epoch/r.cfg.SaveEvery)
	}
	switch {
	case free < 3*size:
		return fmt.Errorf("train: %s has %d MB free, and checkpoints of this network take %d MB each; make room for at least three", dir, free>>20, size>>20)
	case free < files*size:
		r.report.Message("⚠️  The disk has %d MB free, but this run will write about %d MB of checkpoints; raise SaveEvery or make room", free>>20, files*size>>20)
	}
	return nil
}

// recordSession adds this call of training to the experiment's statistics.
func (r *run) recordSession(outcome Outcome) error {
	stats, err := r.exp.LoadStats()
	if err != nil {
		r.report.Message("⚠️  %v", err)
	}
	s := r.state
	stats.Status, stats.EpochsCompleted, stats.BestEpoch, stats.BestValLoss = string(outcome), s.Epoch, s.BestEpoch, nil
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
	stats.Sessions = append(stats.Sessions, experiment.Session{
		Started: r.started, Ended: r.now(), FromEpoch: r.fromEpoch, ToEpoch: s.Epoch, Status: string(outcome), Changes: r.changes,
	})
	return r.exp.SaveStats(stats)
}
