package experiment

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rekindle/pkg/config"
)

// Passed is a folder that was passed over when the latest experiment was looked
// for, and why.
type Passed struct{ Name, Why string }

// Find is [Choose] for those who need not know what was passed over.
func Find(cfg config.Config) (*Experiment, error) {
	e, _, err := Choose(cfg)
	return e, err
}

// Choose returns the experiment that cfg.ResumeExperiment names. It creates nothing.
//
// [Latest] and [Auto] are the newest experiment of cfg's Model, Degradation and
// ExperimentName that has a checkpoint; where none has one, the newest of them.
// Folders that Rekindle did not make, copies of others, and names that are no
// date do not count; those that are newer than what was found are in passed.
// Without any experiment to choose from the error wraps [ErrNone]. A name that
// does not exist is a [NotFoundError].
func Choose(cfg config.Config) (e *Experiment, passed []Passed, err error) {
	parent, err := Folder(cfg)
	if err != nil {
		return nil, nil, err
	}
	switch cfg.ResumeExperiment {
	case Latest, Auto, "":
		names, err := List(cfg)
		if err != nil {
			return nil, nil, err
		}
		e, passed = newest(parent, names, func(name string) string {
			if own := name[len(stampLayout):]; own != suffix(cfg) {
				return fmt.Sprintf("it is not called %q", cfg.ExperimentName)
			}
			return ""
		})
		if e == nil {
			return nil, passed, noneOf(cfg, parent, passed)
		}
		return e, passed, nil
	}
	e, err = named(cfg, parent, cfg.ResumeExperiment)
	return e, nil, err
}

// FindParent returns the experiment that cfg.ForkExperiment names: as [Choose] does,
// whatever its ExperimentName, because a fork often gets another.
func FindParent(cfg config.Config) (*Experiment, error) {
	parent, err := Folder(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.ForkExperiment != Latest {
		return named(cfg, parent, cfg.ForkExperiment)
	}
	names, err := List(cfg)
	if err != nil {
		return nil, err
	}
	e, _ := newest(parent, names, nil)
	if e == nil {
		return nil, fmt.Errorf("experiment: %w under %s", ErrNone, parent)
	}
	return e, nil
}

// newest returns the newest of the experiments with these names, newest first, that
// has a checkpoint, else the newest. unwanted says why a name does not count.
func newest(parent string, names []string, unwanted func(name string) string) (found *Experiment, passed []Passed) {
	var without *Experiment
	var before []Passed // of without
	for _, name := range names {
		e := &Experiment{filepath.Join(parent, name)}
		why := e.strange()
		if why == "" && unwanted != nil {
			why = unwanted(name)
		}
		if why == "" && e.HasCheckpoint() {
			return e, passed
		}
		if why == "" {
			why = "it has no checkpoint: nothing was trained there"
			if without == nil {
				without, before = e, slices.Clone(passed)
			}
		}
		passed = append(passed, Passed{name, why})
	}
	if without != nil {
		return without, before
	}
	return nil, passed
}

// strange says why a folder is no experiment of its own, "" if it is one.
func (e *Experiment) strange() string {
	if _, err := time.Parse(stampLayout, e.Name()[:min(len(stampLayout), len(e.Name()))]); err != nil {
		return "its name does not begin with a date"
	}
	if original := e.copyOf(); original != "" {
		return "it is a copy of " + original
	}
	if _, ours := e.origin(); !ours {
		return "Rekindle did not make it"
	}
	return ""
}

func noneOf(cfg config.Config, parent string, passed []Passed) error {
	if len(passed) == 0 {
		return fmt.Errorf("experiment: %w under %s; set ResumeFromCheckpoint = false to start one", ErrNone, parent)
	}
	const few = 5
	var there []string
	for _, p := range passed[:min(few, len(passed))] {
		there = append(there, p.Name)
	}
	if more := len(passed) - few; more > 0 {
		there = append(there, fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("experiment: %w named %q under %s; set ResumeFromCheckpoint = false to start one, or ResumeExperiment to one of those there: %s", ErrNone, cfg.ExperimentName, parent, strings.Join(there, ", "))
}

func named(cfg config.Config, parent, name string) (*Experiment, error) {
	if name != filepath.Base(name) || name == "." || name == ".." {
		return nil, fmt.Errorf("experiment: %q is no plain folder name; give that of a folder in %s", name, parent)
	}
	if info, err := os.Stat(filepath.Join(parent, name)); err != nil || !info.IsDir() {
		names, err := List(cfg)
		if err != nil {
			return nil, err
		}
		slices.SortStableFunc(names, func(a, b string) int { return likeness(b, name) - likeness(a, name) })
		return nil, &NotFoundError{name, parent, names}
	}
	return &Experiment{filepath.Join(parent, name)}, nil
}
