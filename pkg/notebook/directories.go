package notebook

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
)

const directoriesCell = `"3. Create Output Directories"`

// SetUp chooses the experiment that this kernel works on, a new one or the one
// that the configuration resumes, prints its name, and remembers it for the
// cells that follow. With skipTraining nothing is ever created: the experiment
// that ResumeExperiment names is opened.
func SetUp(cfg config.Config, skipTraining bool) *experiment.Experiment {
	exp, err := setUp(cfg, skipTraining, time.Now())
	if err != nil && !errors.Is(err, ErrNothing) {
		// Cells below that are queued already must not work on the experiment
		// before, which nobody asked for.
		Check(errors.Join(err, remember(memory{})))
	}
	Check(err)
	return exp
}

func setUp(cfg config.Config, skipTraining bool, now time.Time) (*experiment.Experiment, error) {
	if err := checkConfigured(); err != nil {
		return nil, err
	}
	find := cfg.ResumeFromCheckpoint || skipTraining
	var exp *experiment.Experiment
	var err error
	if find {
		exp, err = experiment.Find(cfg)
	}
	// A job that is always started with the same command begins an experiment once.
	if auto := cfg.ResumeExperiment == experiment.Auto && errors.Is(err, experiment.ErrNone); !find || auto && !skipTraining {
		find = false
		exp, err = begin(cfg, now)
	}
	if skipTraining && errors.Is(err, experiment.ErrNone) {
		folder, _ := experiment.Folder(cfg) // Find has got past it
		if err := remember(memory{NoneUnder: folder}); err != nil {
			return nil, err
		}
		return nil, noneUnder(folder)
	}
	if err != nil {
		return nil, err
	}
	if cfg.ResumeFromCheckpoint && !skipTraining {
		if err := exp.Prepare(); err != nil {
			return nil, err
		}
	}
	if err := remember(memory{Experiment: exp.Dir}); err != nil {
		return nil, err
	}
	if find {
		say("%s\n🔄 RESUME MODE: Loading existing experiment\n%s\n", rule, rule)
		say("📁 Experiment: %s", exp.Name())
		say("   Folder: %s", Short(exp.Dir))
		say("   %s", progressSoFar(exp))
		say("%s", rule)
	} else {
		say("📁 Experiment: %s", exp.Name())
		say("   Folder: %s", Short(exp.Dir))
	}
	return exp, nil
}

// begin makes a new experiment, from another one's checkpoint where the
// configuration says so.
func begin(cfg config.Config, now time.Time) (*experiment.Experiment, error) {
	if cfg.ForkExperiment != "" {
		return fork(cfg, now)
	}
	// An experiment that cannot begin would be the latest one, and hide the one to be resumed.
	if err := checkFolders(cfg); err != nil {
		return nil, err
	}
	return experiment.Create(cfg, now)
}

// fork starts a new experiment from the newest checkpoint of ForkExperiment.
func fork(cfg config.Config, now time.Time) (*experiment.Experiment, error) {
	of := cfg
	of.ResumeExperiment = cfg.ForkExperiment
	parent, err := experiment.Find(of)
	if err != nil {
		return nil, err
	}
	state, entry, err := checkpoint.Newest(parent.CheckpointsDir(), warn)
	if err != nil {
		return nil, err
	}
	if state == nil {
		return nil, fmt.Errorf("ForkExperiment: %s has no checkpoint to start from; name an experiment that was trained, or set it to \"\" to begin without one", parent.Name())
	}
	say("🌱 Forking %s, epoch %d", parent.Name(), state.Epoch)
	return experiment.Fork(parent, entry.Path, cfg, now)
}

func noneUnder(folder string) error {
	return fmt.Errorf("%w: no experiment under %s; set SKIP_TRAINING = false to train one", ErrNothing, Short(folder))
}

// progressSoFar says in one line how far an experiment has come.
func progressSoFar(exp *experiment.Experiment) string {
	history, err := experiment.LoadHistory(exp.HistoryPath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "No epoch finished yet"
	case err != nil:
		return "⚠️  Previous history has invalid structure"
	}
	text := fmt.Sprintf("Epochs finished: %d", history.Len())
	if epoch, loss, ok := history.Best(); ok {
		text += fmt.Sprintf(", best epoch: %d (val_loss: %.4f)", epoch, loss)
	}
	return text
}

// Experiment returns the experiment that [SetUp] chose in this kernel. Where
// the configuration now resumes another one it prints a warning, once, and
// keeps to the choice.
func Experiment(cfg config.Config) *experiment.Experiment {
	exp, err := current(cfg)
	Check(err)
	return exp
}

func current(cfg config.Config) (*experiment.Experiment, error) {
	if err := checkConfigured(); err != nil {
		return nil, err
	}
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
	say("⚠️  Warning: Resume experiment mismatch!")
	say("   Expected: %s", Short(exp.Dir))
	say("   Got: %s", Short(got))
	say("   Using: %s", Short(exp.Dir))
	m.Warned = got
	return exp, remember(m)
}

// TensorBoard says where an experiment's logs lie.
func TensorBoard(cfg config.Config) {
	exp := Experiment(cfg)
	say("📊 TensorBoard logs: %s", Short(exp.LogsDir()))
	say("   This version writes no event files yet; history.json and training_curves.png hold the same numbers")
}
