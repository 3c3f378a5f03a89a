package experiment

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/durable"
)

// Fork makes a new experiment that starts from checkpoints of another one, as
// [Experiment.Adopt] does. The parent is only read.
func Fork(parent *Experiment, checkpoints []string, cfg config.Config, now time.Time) (*Experiment, error) {
	e, err := Create(cfg, now)
	if err != nil {
		return nil, err
	}
	return e, e.Adopt(parent, checkpoints...)
}

// Adopt makes an experiment without checkpoints of its own a fork: a new one, or
// one that was stopped while it was being made. The parent's name is recorded,
// and its history and the checkpoints are copied, so that the parent can be
// removed. The checkpoint to start from comes last: where it is, all is.
func (e *Experiment) Adopt(parent *Experiment, checkpoints ...string) error {
	if err := e.SaveStats(Stats{Parent: parent.Name()}); err != nil {
		return err
	}
	// Checkpoints of the Python original do not carry it.
	if err := durable.Copy(parent.HistoryPath(), e.HistoryPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("experiment: fork %s: %w", parent.Name(), err)
	}
	for _, path := range checkpoints {
		if err := durable.Copy(path, filepath.Join(e.CheckpointsDir(), filepath.Base(path))); err != nil {
			return fmt.Errorf("experiment: fork %s: %w", parent.Name(), err)
		}
	}
	return nil
}
