package experiment

import (
	"fmt"
	"path/filepath"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/durable"
)

// Fork makes a new experiment that starts from a checkpoint of another one. The
// file is copied, so the parent can be removed; its name is recorded in the
// statistics of the new experiment. The parent is only read.
func Fork(parent *Experiment, checkpoint string, cfg config.Config, now time.Time) (*Experiment, error) {
	e, err := Create(cfg, now)
	if err != nil {
		return nil, err
	}
	return e, e.Adopt(parent, checkpoint)
}

// Adopt makes an experiment without a checkpoint a fork: a new one, or one that
// was stopped while its parent's checkpoint was being copied.
func (e *Experiment) Adopt(parent *Experiment, checkpoint string) error {
	if err := durable.Copy(checkpoint, filepath.Join(e.CheckpointsDir(), filepath.Base(checkpoint))); err != nil {
		return fmt.Errorf("experiment: fork %s: %w", parent.Name(), err)
	}
	return e.SaveStats(Stats{Parent: parent.Name()})
}
