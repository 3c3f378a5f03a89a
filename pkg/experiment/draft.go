package experiment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rekindle/pkg/durable"
)

// Draft is an evaluation under way. Its pictures go to a folder of their own, so
// that until [Draft.Commit] the scores and pictures of the evaluation before
// stay as they are, whatever happens. Whenever evaluation_metrics.json exists it
// describes the pictures in restored_images.
type Draft struct {
	Dir  string // for the restored pictures; empty at first
	exp  *Experiment
	lock *Lock
}

// Names beside restored_images, while pictures are made and while they are exchanged.
const (
	draftSuffix = ".unfinished"
	oldSuffix   = ".old"
)

// Draft begins an evaluation and removes what a killed one left behind. While
// another process evaluates the experiment it is a [LockedError].
func (e *Experiment) Draft() (*Draft, error) {
	lock, err := e.lock(".evaluation.lock", "evaluated")
	if err != nil {
		return nil, err
	}
	d := &Draft{e.RestoredDir() + draftSuffix, e, lock}
	if err = d.clean(); err == nil {
		err = os.Mkdir(d.Dir, 0o777)
	}
	if err != nil {
		lock.Release()
		return nil, fmt.Errorf("experiment: %w", err)
	}
	return d, nil
}

func (d *Draft) clean() error {
	return errors.Join(os.RemoveAll(d.Dir), os.RemoveAll(d.exp.RestoredDir()+oldSuffix))
}

// Commit puts the draft's pictures and scores in the place of the evaluation
// before. A process killed in the middle leaves an experiment without scores,
// never with those of other pictures.
func (d *Draft) Commit(scores *Evaluation) error {
	pictures, old := d.exp.RestoredDir(), d.exp.RestoredDir()+oldSuffix
	if err := os.Remove(d.exp.MetricsPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("experiment: %w", err)
	}
	// On the disk before the pictures change: a power cut must not bring the scores back.
	if err := durable.SyncDir(d.exp.Dir); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	if err := os.Rename(pictures, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("experiment: %w", err)
	}
	if err := os.Rename(d.Dir, pictures); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	if err := durable.SyncDir(d.exp.Dir); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	if err := scores.SaveCSV(d.exp.ScoresCSVPath()); err != nil {
		return err
	}
	if err := scores.Save(d.exp.MetricsPath()); err != nil {
		return err
	}
	if err := os.RemoveAll(old); err != nil {
		return fmt.Errorf("experiment: remove the pictures of the evaluation before: %w", err)
	}
	return nil
}

// Close ends the draft. One that was not committed is thrown away, and the
// evaluation before stands.
func (d *Draft) Close() error {
	defer d.lock.Release()
	if err := os.RemoveAll(d.Dir); err != nil {
		return fmt.Errorf("experiment: remove %s: %w", filepath.Base(d.Dir), err)
	}
	return nil
}
