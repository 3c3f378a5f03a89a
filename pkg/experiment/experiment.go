// Package experiment is where a run lives on disk: its folder, its history and
// statistics, and the lock that keeps a second writer out.
//
//	exp, err := experiment.Create(cfg, time.Now()) // a new folder
//	exp, err := experiment.Find(cfg)               // the one that cfg.ResumeExperiment names
//
//	experiments/<model>/<degradation>/YYYYMMDD_HHMMSS_<name>/
//	  config.json  history.json  experiment_stats.json  evaluation_metrics.json  training_curves.png
//	  checkpoints/  samples/  restored_images/  logs/tensorboard_logs/
//
// Nothing here needs the engine that computes: a program that only looks at
// results stays small.
package experiment

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/durable"
)

// Experiment is one run's folder.
type Experiment struct {
	Dir string // absolute
}

// Name is the folder's own name, e.g. "20251230_153045_v1".
func (e *Experiment) Name() string { return filepath.Base(e.Dir) }

// CheckpointsDir is where package checkpoint keeps States.
func (e *Experiment) CheckpointsDir() string { return filepath.Join(e.Dir, "checkpoints") }

// Checkpoints are the States that were saved.
func (e *Experiment) Checkpoints() checkpoint.Folder { return checkpoint.Folder(e.CheckpointsDir()) }

// SamplesDir is for pictures of patches and comparisons.
func (e *Experiment) SamplesDir() string { return filepath.Join(e.Dir, "samples") }

// CourseDir is for what the network made of a few patches in the course of training.
func (e *Experiment) CourseDir() string { return filepath.Join(e.SamplesDir(), "course") }

// LogsDir is for TensorBoard's event files.
func (e *Experiment) LogsDir() string { return filepath.Join(e.Dir, "logs", "tensorboard_logs") }

// RestoredDir is for whole pictures that the evaluation restored.
func (e *Experiment) RestoredDir() string { return filepath.Join(e.Dir, "restored_images") }

// ConfigPath is the configuration that the experiment began with.
func (e *Experiment) ConfigPath() string { return filepath.Join(e.Dir, "config.json") }

// HistoryPath is the file of a history.History.
func (e *Experiment) HistoryPath() string { return filepath.Join(e.Dir, "history.json") }

// DataPath names the pictures that the experiment was trained on, see package
// dataset's Identity.
func (e *Experiment) DataPath() string { return filepath.Join(e.Dir, "data.json") }

// StatsPath is the [Stats].
func (e *Experiment) StatsPath() string { return filepath.Join(e.Dir, "experiment_stats.json") }

// ScoresCSVPath is the [Evaluation] as a table for spreadsheets.
func (e *Experiment) ScoresCSVPath() string { return filepath.Join(e.Dir, "evaluation_metrics.csv") }

// MetricsPath is the [Evaluation].
func (e *Experiment) MetricsPath() string { return filepath.Join(e.Dir, "evaluation_metrics.json") }

// CurvesPath is the picture of the history.
func (e *Experiment) CurvesPath() string { return filepath.Join(e.Dir, "training_curves.png") }

// ErrNone is returned, wrapped, when there is no experiment at all to resume.
var ErrNone = errors.New("no experiment yet")

// NotFoundError is returned when an experiment of a given name does not exist.
type NotFoundError struct {
	Name   string   // that was looked for
	Folder string   // in which it is not
	Have   []string // what exists there, most similar name first
}

func (e *NotFoundError) Error() string {
	if len(e.Have) == 0 {
		return fmt.Sprintf("experiment: no such experiment as %q: there is none under %s yet; a notebook makes one, or \"make run\"", e.Name, e.Folder)
	}
	have := e.Have
	if len(have) > 5 {
		have = append(slices.Clone(have[:5]), fmt.Sprintf("and %d more", len(e.Have)-5))
	}
	return fmt.Sprintf("experiment: %q: no such experiment under %s; nearest: %s", e.Name, e.Folder, strings.Join(have, ", "))
}

// Values of ResumeExperiment other than a folder's name. Both mean the newest
// experiment of cfg's Model, Degradation and ExperimentName, see [Choose].
const (
	Latest = "latest"
	Auto   = "auto" // a job's own: where there is none, a new one is begun
)

const stampLayout = "20060102_150405"

// stamped matches the names that Create gives: a time, then an optional name.
var stamped = regexp.MustCompile(`^\d{8}_\d{6}(_.*)?$`)

// Folder is where the experiments of cfg's model and degradation lie, absolute.
func Folder(cfg config.Config) (string, error) {
	dir, err := filepath.Abs(filepath.Join(cfg.ExperimentsDir, filepath.FromSlash(cfg.Model), filepath.FromSlash(cfg.Degradation)))
	if err != nil {
		return "", fmt.Errorf("experiment: %w", err)
	}
	return dir, nil
}

// Create makes the folder of a new experiment and writes its config.json. The
// name begins with the time now. Where that is not later than the newest
// experiment's, because two runs began in the same second or the clock went
// back (as at the end of summer time), the second after the newest is taken, so that "latest" always means the
// one that was created last.
func Create(cfg config.Config, now time.Time) (*Experiment, error) {
	return createFrom(cfg, now, Maker{}, nil)
}

func createFrom(cfg config.Config, now time.Time, maker Maker, unused *Experiment) (*Experiment, error) {
	parent, err := Folder(cfg)
	if err != nil {
		return nil, err
	}
	if err := makeIn(parent, parent, os.MkdirAll); err != nil {
		return nil, err
	}
	// It is made beside its place and gets its name with all it needs: whoever is killed leaves no folder that is no experiment.
	from := filepath.Join(parent, fmt.Sprintf("%s%x", durable.TempPrefix, rand.Uint64()))
	if unused != nil {
		from = unused.Dir
	} else {
		defer os.RemoveAll(from)
		if err := makeIn(parent, from, os.Mkdir); err != nil {
			return nil, err
		}
	}
	// What the clock on the wall shows, in a zone where no hour comes twice.
	wall := time.Date(now.Year(), now.Month(), now.Day(), now.Hour(), now.Minute(), now.Second(), 0, time.UTC)
	for {
		names, err := List(cfg)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if newest, err := time.Parse(stampLayout, name[:len(stampLayout)]); err == nil { // somebody's own 99999999_999999 is no time
				if !wall.After(newest) {
					wall = newest.Add(time.Second)
				}
				break
			}
		}
		e := &Experiment{filepath.Join(parent, wall.Format(stampLayout)+suffix(cfg))}
		if err := (&Experiment{from}).sign(e.Name(), cfg, maker); err != nil {
			return nil, err
		}
		// Unlike os.Rename this takes the place of an empty folder, which is no experiment.
		err = unix.Rename(from, e.Dir)
		if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTDIR) { // another process was quicker
			wall = wall.Add(time.Second)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("experiment: %w", err)
		}
		return e, e.makeSubfolders()
	}
}

// makeIn makes a folder for a new experiment of those that lie in parent.
func makeIn(parent, dir string, mkdir func(string, fs.FileMode) error) error {
	err := mkdir(dir, 0o777)
	if durable.MayOnlyRead(err) {
		return fmt.Errorf("experiment: nothing can be made in %s (%w); name a folder of yours in ExperimentsDir", parent, err)
	}
	if err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	return nil
}

// suffix is what follows the time in a folder's name.
func suffix(cfg config.Config) string {
	if cfg.ExperimentName == "" {
		return ""
	}
	return "_" + cfg.ExperimentName
}

func (e *Experiment) makeSubfolders() error {
	for _, dir := range []string{e.CheckpointsDir(), e.SamplesDir(), e.LogsDir()} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return fmt.Errorf("experiment: %w", err)
		}
	}
	return nil
}

// Sweep removes the unfinished files that killed processes left.
func (e *Experiment) Sweep() error {
	var all error
	for _, dir := range []string{e.Dir, e.CheckpointsDir(), e.SamplesDir(), e.CourseDir()} {
		if err := durable.Sweep(dir); !errors.Is(err, fs.ErrNotExist) {
			all = errors.Join(all, err)
		}
	}
	return all
}

// List returns the names of the experiments of cfg's model and degradation,
// newest first. Folders that [Create] did not name are not experiments.
func List(cfg config.Config) ([]string, error) {
	parent, err := Folder(cfg)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("experiment: %w", err)
	}
	var names []string
	for _, e := range entries {
		if stamped.MatchString(e.Name()) && isFolder(filepath.Join(parent, e.Name()), e) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, nil
}

// isFolder follows links.
func isFolder(path string, e fs.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.IsDir()
	}
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// likeness counts the letters that two names share at the start and at the end.
func likeness(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	m := 0
	for m < len(a)-n && m < len(b)-n && a[len(a)-1-m] == b[len(b)-1-m] {
		m++
	}
	return n + m
}

// Open returns the experiment in an existing folder.
func Open(dir string) (*Experiment, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("experiment: %w", err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, fmt.Errorf("experiment: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("experiment: %s is a file, not an experiment's folder", abs)
	}
	return &Experiment{abs}, nil
}

// Prepare makes the sub-folders that are missing, as before training goes on in
// a folder that somebody copied or cleaned.
func (e *Experiment) Prepare() error { return e.makeSubfolders() }
