package notebook

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/figures"
	"rekindle/pkg/loss/vgg"
	"rekindle/pkg/notebook/cell"
)

const directoriesCell = `"3. Create Output Directories"`

// SetUp chooses the experiment that this kernel works on, a new one or the one
// that the configuration resumes, prints its name, and remembers it for the
// cells that follow. With skipTraining nothing is ever created: the experiment
// that ResumeExperiment names is opened.
func SetUp(cfg config.Config, skipTraining bool) *experiment.Experiment {
	cell.BeginAnew()
	exp, err := setUpOrForget(cfg, skipTraining)
	cell.Check(err)
	return exp
}

// setUpOrForget lets no cell below that is queued already work on the experiment
// before, which nobody asked for.
func setUpOrForget(cfg config.Config, skipTraining bool) (*experiment.Experiment, error) {
	exp, err := setUp(cfg, skipTraining, time.Now())
	if err != nil && !errors.Is(err, cell.ErrNothing) {
		err = errors.Join(err, remember(memory{}))
	}
	return exp, err
}

func setUp(cfg config.Config, skipTraining bool, now time.Time) (*experiment.Experiment, error) {
	if err := checkVGG(cfg); err != nil && !skipTraining {
		return nil, err
	}
	exp, found, err := choose(cfg, skipTraining, now)
	if err == nil && found {
		err = settle(exp)
	}
	if skipTraining && errors.Is(err, experiment.ErrNone) {
		folder, _ := experiment.Folder(cfg) // Find has got past it
		where := "under " + cell.Short(folder)
		if others, _ := experiment.List(cfg); len(others) > 0 {
			where = fmt.Sprintf("named %q %s, where %s is the newest", cfg.ExperimentName, where, others[0])
		}
		if err := remember(memory{NoneUnder: where}); err != nil {
			return nil, err
		}
		return nil, noneUnder(where)
	}
	if err != nil {
		return nil, err
	}
	if cfg.ResumeFromCheckpoint && !skipTraining {
		if err := exp.Prepare(); err != nil {
			return nil, err
		}
	}
	if err := remember(memory{Experiment: exp.Dir, Looking: skipTraining}); err != nil {
		return nil, err
	}
	switch {
	case found && skipTraining:
		cell.Say("%s\n👀 SKIP_TRAINING = true: Looking at an existing experiment\n%s\n", cell.Rule, cell.Rule)
	case found:
		cell.Say("%s\n🔄 RESUME MODE: Loading existing experiment\n%s\n", cell.Rule, cell.Rule)
	}
	cell.Say("📁 Experiment: %s", exp.Name())
	cell.Say("   Folder: %s", cell.Short(exp.Dir))
	if found {
		cell.Say("   %s", progressSoFar(exp))
		cell.Say("   %s", newestCheckpoint(exp))
		cell.Say("%s", cell.Rule)
	}
	return exp, nil
}

// settle makes the settings those of an experiment that was found, where they are
// not: with SKIP_TRAINING one is opened that section 2 did not know of, and between
// the two cells a newer one may have appeared.
func settle(exp *experiment.Experiment) error {
	s, err := recallSettings()
	if err != nil || s.Experiment == exp.Dir {
		return nil // called by a program, or nothing to do
	}
	if err := s.moveTo(exp); err != nil {
		return err
	}
	cell.Say("ℹ️  The settings are those of %s now:", exp.Name())
	s.show()
	return nil
}

// checkVGG reads the weights that the perceptual loss needs: better an error now
// than when training is about to begin.
func checkVGG(cfg config.Config) error {
	if cfg.LossGamma == 0 {
		return nil
	}
	if _, err := vgg.Open(cfg.VGGWeights); err != nil {
		return fmt.Errorf("VGGWeights: %w", err)
	}
	return nil
}

// fewPassed is how many folders are named that were passed over.
const fewPassed = 8

// choose finds the experiment that the configuration resumes, or makes a new
// one. A job that is always started with the same command, [experiment.Auto],
// makes one where it has none yet.
func choose(cfg config.Config, skipTraining bool, now time.Time) (exp *experiment.Experiment, found bool, err error) {
	if !cfg.ResumeFromCheckpoint && !skipTraining {
		exp, err = begin(cfg, now)
		return exp, false, err
	}
	exp, passed, err := experiment.Choose(cfg)
	if err == nil && len(passed) > 0 {
		cell.Say("⏩ Passed over, and why:")
		for i, p := range passed {
			if i == fewPassed {
				cell.Say("      and %d more", len(passed)-fewPassed)
				break
			}
			cell.Say("      %-32s %s", p.Name, p.Why)
		}
	}
	if skipTraining || cfg.ResumeExperiment != experiment.Auto {
		return exp, true, err
	}
	if errors.Is(err, experiment.ErrNone) {
		defer alone(cfg)()
		if exp, err = experiment.Find(cfg); errors.Is(err, experiment.ErrNone) {
			exp, err = begin(cfg, now)
			return exp, false, err
		}
	}
	if err == nil && cfg.ForkExperiment != "" {
		err = completeFork(cfg, exp)
	}
	return exp, true, err
}

// alone waits until no other process makes a job's own experiment, and keeps others out
// until it is left: a scheduler may start a job twice, and both are to have the same.
// Where that cannot be, making one says what is wrong.
func alone(cfg config.Config) (leave func()) {
	folder, err := experiment.Folder(cfg)
	if err == nil {
		err = os.MkdirAll(folder, 0o777)
	}
	if err != nil {
		return func() {}
	}
	f, err := os.Open(folder)
	if err == nil {
		err = durable.Lock(context.Background(), f, nil)
	}
	if err != nil {
		return func() {}
	}
	return func() { f.Close() }
}

// begin makes a new experiment, from another one's checkpoints where the
// configuration says so.
func begin(cfg config.Config, now time.Time) (*experiment.Experiment, error) {
	if cfg.ForkExperiment != "" {
		return fork(cfg, now)
	}
	// An experiment that cannot begin would be the latest one, and hide the one to be resumed.
	if err := checkFolders(cfg); err != nil {
		return nil, err
	}
	exp, reused, err := experiment.Begin(cfg, now, experiment.MakerIn(os.Getenv("GONB_TMP_DIR")))
	if err == nil && reused != "" {
		cell.Say("♻️  %s never got going: its folder is used for the new experiment", reused)
	}
	return exp, err
}

// fork starts a new experiment from the newest checkpoint of ForkExperiment.
func fork(cfg config.Config, now time.Time) (*experiment.Experiment, error) {
	parent, checkpoints, err := forked(cfg)
	if err != nil {
		return nil, err
	}
	return experiment.Fork(parent, checkpoints, cfg, now)
}

// completeFork gives a job's own experiment the checkpoints that it was to begin
// with, where the job was stopped before it had them.
func completeFork(cfg config.Config, exp *experiment.Experiment) error {
	entries, err := exp.Checkpoints().List()
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		stats, err := exp.LoadStats()
		begun := err != nil || stats.Parent == "" || len(stats.Sessions) > 0
		if begun || slices.ContainsFunc(entries, func(e checkpoint.Entry) bool { return e.Name() != checkpoint.Best }) {
			return nil
		}
	}
	if err := exp.Prepare(); err != nil {
		return err
	}
	parent, checkpoints, err := forked(cfg)
	if err != nil {
		return err
	}
	return exp.Adopt(parent, checkpoints...)
}

// forked returns ForkExperiment and what a fork begins with: its best_model.pth,
// which holds the epoch that the newest checkpoint calls the best, and that one.
func forked(cfg config.Config) (parent *experiment.Experiment, paths []string, err error) {
	parent, err = experiment.FindParent(cfg)
	if err != nil {
		return nil, nil, err
	}
	dir := parent.Checkpoints()
	state, entry, err := dir.Newest(cell.Warn)
	if err != nil {
		return nil, nil, err
	}
	if state == nil {
		return nil, nil, fmt.Errorf("ForkExperiment: %s has no checkpoint to start from; name an experiment that was trained, or set it to \"\" to begin without one", parent.Name())
	}
	entries, err := dir.List()
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if e.Name() == checkpoint.Best && e.Err == nil && e.Path != entry.Path {
			paths = append(paths, e.Path)
		}
	}
	cell.Say("🌱 Forking %s, epoch %d", parent.Name(), state.Epoch)
	return parent, append(paths, entry.Path), nil
}

func noneUnder(where string) error {
	return fmt.Errorf("%w: no experiment %s; set SKIP_TRAINING = false to train one", cell.ErrNothing, where)
}

// progressSoFar says in one line how far an experiment has come.
func progressSoFar(exp *experiment.Experiment) string {
	history, err := exp.History()
	switch {
	case err != nil:
		return "⚠️  Previous history has invalid structure"
	case history.Len() == 0:
		return "No epoch finished yet"
	}
	text := fmt.Sprintf("Epochs finished: %d", history.Len())
	if epoch, loss, ok := history.Best(); ok {
		text += fmt.Sprintf(", best epoch: %d (val_loss: %s)", epoch, figures.Loss(loss))
	}
	return text
}

// newestCheckpoint says in one line what there is to go on with.
func newestCheckpoint(exp *experiment.Experiment) string {
	entries, err := exp.Checkpoints().List()
	switch {
	case err != nil:
		return fmt.Sprintf("⚠️  Its checkpoints cannot be read: %v", err)
	case len(entries) == 0:
		return "No checkpoint yet: nothing was trained here"
	case entries[0].Err != nil:
		return fmt.Sprintf("⚠️  None of its %d checkpoints can be read", len(entries))
	}
	text := fmt.Sprintf("Newest checkpoint: %s, epoch %d", entries[0].Name(), entries[0].Epoch)
	if p := entries[0].Position; p > 0 {
		text += fmt.Sprintf(" and %d patches", p)
	}
	return text
}

// Experiment returns the experiment that [SetUp] chose in this kernel. Where
// the configuration now resumes another one it prints a warning, once, and
// keeps to the choice.
func Experiment(cfg config.Config) *experiment.Experiment {
	exp, err := current(cfg)
	cell.Check(err)
	return exp
}

func current(cfg config.Config) (*experiment.Experiment, error) {
	m, err := recall()
	if err != nil {
		return nil, err
	}
	if m.NoneUnder != "" {
		return nil, noneUnder(m.NoneUnder)
	}
	if m.Experiment == "" {
		return nil, fmt.Errorf("no experiment is chosen in this kernel yet; run the cell under %s first", directoriesCell)
	}
	exp, err := experiment.Open(m.Experiment)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the experiment %s is gone; run the cell under %s again", m.Experiment, directoriesCell)
	}
	if err != nil {
		return nil, err
	}
	folder, err := experiment.Folder(cfg)
	if err != nil {
		return nil, err
	}
	if filepath.Dir(exp.Dir) != folder {
		return nil, fmt.Errorf("the current experiment is %s, but the configuration now belongs to %s; run the cell under %s again", exp.Dir, folder, directoriesCell)
	}
	if !cfg.ResumeFromCheckpoint {
		return exp, nil
	}
	got := ""
	if other, err := experiment.Find(cfg); err == nil {
		got = other.Dir
	} else {
		got = err.Error()
	}
	if got == exp.Dir || got == m.Warned {
		return exp, nil
	}
	cell.Say("⚠️  Warning: Resume experiment mismatch!")
	cell.Say("   Expected: %s", cell.Short(exp.Dir))
	cell.Say("   Got: %s", cell.Short(got))
	cell.Say("   Using: %s", cell.Short(exp.Dir))
	cell.Say("   To use the other one, run the cell under %s again", directoriesCell)
	m.Warned = got
	return exp, remember(m)
}

// TensorBoard says where an experiment's event files are and how to look at them.
func TensorBoard(cfg config.Config) {
	exp := Experiment(cfg)
	cell.Say("📊 TensorBoard logs: %s", cell.Short(exp.LogsDir()))
	cell.Say("   To see all experiments in TensorBoard: tensorboard --logdir %s", shellWord(filepath.Clean(cfg.ExperimentsDir)))
}

// shellWord writes a path as a shell reads it back.
func shellWord(path string) string {
	if regexp.MustCompile(`^[\w@%+=:,./-]+$`).MatchString(path) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
