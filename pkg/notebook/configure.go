package notebook

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"rekindle/pkg/config"
	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/notebook/cell"
)

// ConfigVariable names an environment variable with a JSON object of keys that
// override those of the configuration cell, for runs without an editor:
//
//	REKINDLE_CONFIG='{"num_epochs": 20}' make run
const ConfigVariable = "REKINDLE_CONFIG"

// Configure makes the settings of a run. Their base is the preset of this machine
// and its engine or, where an experiment is resumed or forked, the settings of
// that. On it comes what edit writes, the lines of the cell, and then
// [ConfigVariable]; nothing changes them afterwards. Every setting that is not the
// default is printed with where it comes from, and all are remembered for the cells
// below, which get them with [Settings].
//
// Settings that cannot work end the cell with a sentence for each problem. edit is
// run a few times, to learn which experiment is meant and which keys it sets.
func Configure(edit func(cfg *config.Config)) config.Config {
	cell.BeginAnew()
	s, err := configure(edit)
	cell.Check(err)
	cell.Check(keptSettings.Save(*s))
	s.show()
	return s.Config
}

// settings are what section 2 has found, as cells below and [SetUp] need it.
type settings struct {
	Config config.Config `json:"config"`

	Preset     string         `json:"preset"`     // the engine that it is for
	Base       config.Config  `json:"base"`       // what the cell's lines were applied to
	BaseFrom   string         `json:"base_from"`  // in words
	Experiment string         `json:"experiment"` // folder of the experiment whose settings Base is, "" for the preset
	Cell       []config.Entry `json:"cell"`       // keys that the cell sets
	Variable   []config.Entry `json:"variable"`   // keys that ConfigVariable sets
}

func configure(edit func(*config.Config)) (*settings, error) {
	if err := cell.EnterClone(); err != nil {
		return nil, err
	}
	s := &settings{}
	var err error
	if text := os.Getenv(ConfigVariable); text != "" {
		if s.Variable, err = config.Entries(text); err != nil {
			return nil, fmt.Errorf("%s: %w; what arrived is %s%s", ConfigVariable, err, text, withoutQuotes(text))
		}
	}
	written := func(base config.Config) (config.Config, error) {
		edit(&base)
		cfg, err := base.Apply(s.Variable)
		if err != nil {
			return cfg, fmt.Errorf("%s: %w", ConfigVariable, err)
		}
		return cfg.WithPaths()
	}
	// Which engine and which experiment are meant is itself among the settings.
	wanted, err := written(config.Preset(Engine("auto")))
	if err != nil {
		return nil, err
	}
	s.Preset = Engine(wanted.Device)
	s.Base, s.BaseFrom = config.Preset(s.Preset), "the preset for "+engineName(s.Preset)
	if exp := meant(wanted); exp != nil {
		if err := s.rebase(exp); err != nil {
			return nil, err
		}
	}
	if s.Config, err = written(s.Base); err != nil {
		return nil, err
	}
	s.Cell = s.Base.Edited(edit)
	s.Config = s.Config.WithFolders()
	return s, inTheirWords(s.Config.Validate(), s.Variable)
}

// withoutQuotes says why JSON may have arrived without its quotes.
func withoutQuotes(text string) string {
	if strings.Contains(text, `"`) || !strings.Contains(text, ":") {
		return ""
	}
	return ` (the quotes of JSON are gone: in a cell write %env ` + ConfigVariable + ` "{\"num_epochs\": 2}", in a shell put it between single quotes)`
}

// inTheirWords names the keys that were given as JSON as they were given; all others
// have the name that the cell gives them.
func inTheirWords(err error, variable []config.Entry) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, e := range variable {
		text = regexp.MustCompile(`\b`+config.Name(e.Key)+`\b`).ReplaceAllString(text, e.Key)
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

func engineName(engine string) string {
	if name := map[string]string{"xla:cuda": "a GPU", "xla:cpu": "XLA on a CPU", "go": "the Go engine on a CPU"}[engine]; name != "" {
		return name
	}
	return engine
}

// meant is the experiment whose settings are the base, nil for a new one. One that
// cannot be found is no error here: section 3 says so.
func meant(wanted config.Config) *experiment.Experiment {
	switch {
	case wanted.ResumeFromCheckpoint:
		// The one that this kernel works on is meant even where another one is newer by now.
		if m, err := recall(); err == nil && m.Experiment != "" {
			name := filepath.Base(m.Experiment)
			folder, err := experiment.Folder(wanted)
			_, gone := os.Stat(m.Experiment)
			switch wanted.ResumeExperiment {
			case experiment.Latest, experiment.Auto, "", name:
				if err == nil && gone == nil && filepath.Dir(m.Experiment) == folder {
					return &experiment.Experiment{Dir: m.Experiment}
				}
			}
		}
		if exp, err := experiment.Find(wanted); err == nil {
			return exp
		}
		if wanted.ResumeExperiment != experiment.Auto {
			return nil
		}
		fallthrough // "auto" begins a new one, which may be a fork
	case wanted.ForkExperiment != "":
		if wanted.ForkExperiment == "" {
			return nil
		}
		if exp, err := experiment.FindParent(wanted); err == nil {
			return exp
		}
	}
	return nil
}

// rebase makes an experiment's own settings the base: those of its newest
// checkpoint, else those it began with.
func (s *settings) rebase(exp *experiment.Experiment) error {
	own, unread, from, err := exp.Checkpoints().Settings()
	if err != nil {
		return err
	}
	if from.Path == "" {
		raw, err := durable.ReadText(exp.ConfigPath())
		if err == nil {
			own, unread, err = config.Decode(raw)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			cell.Warn(fmt.Sprintf("%s has no config.json: settings that the cell does not mention are those of this machine", exp.Name()))
			return nil
		case err != nil:
			cell.Warn(fmt.Sprintf("the settings of %s cannot be read (%v): those that the cell does not mention are this machine's", exp.Name(), err))
			return nil
		}
	}
	for _, key := range unread {
		cell.Warn(fmt.Sprintf("a setting of %s does not fit and is left out: %s", exp.Name(), key))
	}
	s.Base, s.Experiment = config.Preset(s.Preset).Resumed(own), exp.Dir
	s.BaseFrom = "the settings of " + exp.Name()
	if from.Path != "" {
		s.BaseFrom += fmt.Sprintf(", after epoch %d", from.Epoch)
	}
	return nil
}

// moveTo makes the settings those of a run that goes on with exp, where they were
// made for another one or for none.
func (s *settings) moveTo(exp *experiment.Experiment) error {
	if err := s.rebase(exp); err != nil {
		return err
	}
	cfg, err := s.Base.Apply(s.Cell)
	if err == nil {
		cfg, err = cfg.Apply(s.Variable)
	}
	if err == nil {
		cfg, err = cfg.WithPaths()
	}
	if err != nil {
		return err
	}
	s.Config = cfg.WithFolders()
	if err := s.Config.Validate(); err != nil {
		return err
	}
	return keptSettings.Save(*s)
}

// show prints every setting that is not the default, and where it comes from.
func (s *settings) show() {
	cell.Say("📋 Settings: every value is valid")
	cell.Say("   Base: %s", s.BaseFrom)
	origin := map[string]string{}
	for _, e := range s.Cell {
		origin[e.Key] = "the cell"
	}
	for _, e := range s.Variable {
		origin[e.Key] = ConfigVariable
	}
	usual, base, now := config.Default().WithFolders().Fields(), s.Base.WithFolders().Fields(), s.Config.Fields()
	said := false
	for i, f := range now {
		from := origin[f.Key]
		if f.Value == usual[i].Value && f.Value == base[i].Value {
			continue
		}
		if !said {
			said = true
			cell.Say("   Other than the defaults, which are the original's for DIV2K on a GPU:")
			cell.Say("      %-22s %-24s %s", "setting", "value", "comes from")
		}
		note := "the default is " + usual[i].Value
		switch {
		case from == "" && strings.HasSuffix(f.Name, "DegradedDir"):
			from = "Degradation and its strength"
		case from == "" && s.Experiment != "" && !config.OfTheMachine(f.Key):
			from = "the experiment"
		case from == "":
			from = "this machine"
		case f.Value == base[i].Value:
		case s.Experiment != "":
			note = "the experiment's is " + base[i].Value
		case base[i].Value != usual[i].Value:
			note = "this machine's is " + base[i].Value
		}
		cell.Say("      %-22s %-24s %s; %s", f.Name, f.Value, from, note)
	}
	if !said {
		cell.Say("   All are the defaults, which are the original's for DIV2K on a GPU")
	}
}

const configurationCell = `"2. Configuration"`

func recallSettings() (*settings, error) {
	s, err := keptSettings.Load()
	switch {
	case errors.Is(err, cell.ErrNotKept):
		return nil, fmt.Errorf("this kernel has no settings yet; run the cell under %s first, and then the one under %s", configurationCell, directoriesCell)
	case errors.Is(err, cell.ErrUnfinished):
		return nil, fmt.Errorf("the cell under %s did not run to its end; mend it and run it again", configurationCell)
	case err != nil:
		return nil, fmt.Errorf("the settings that this kernel remembers cannot be read (%w); run the cell under %s again", err, configurationCell)
	}
	return &s, nil
}

// Settings returns what the cell under "2. Configuration" has set up in this
// kernel. Where the cells work on another experiment than that one resumes, because
// "3. Create Output Directories" was not run again, they are those of the
// experiment that is used.
func Settings() config.Config {
	cell.Follows()
	s, err := currentSettings()
	cell.Check(err)
	return s.Config
}

func currentSettings() (*settings, error) {
	if err := cell.EnterClone(); err != nil {
		return nil, err
	}
	s, err := recallSettings()
	if err != nil || !s.Config.ResumeFromCheckpoint {
		return s, err
	}
	m, err := recall()
	if err != nil || m.Experiment == "" || m.Experiment == s.Experiment {
		return s, err
	}
	exp, err := experiment.Open(m.Experiment)
	folder, e := experiment.Folder(s.Config)
	if err != nil || e != nil || filepath.Dir(exp.Dir) != folder {
		return s, nil // whoever needs the experiment says what is wrong with it
	}
	return s, s.moveTo(exp)
}

// SkipTraining remembers the switch SKIP_TRAINING for the cells below: with it they
// train nothing and create no experiment.
func SkipTraining(skip bool) {
	cell.Check(keptSkip.Save(skip))
	if skip {
		cell.Say("⏭️  SKIP_TRAINING = true: the cells below train nothing and show what is on disk")
	} else {
		cell.Say("▶️  SKIP_TRAINING = false: the cells below train")
	}
}

// SkipsTraining returns the switch of the cell with SKIP_TRAINING.
func SkipsTraining() bool {
	skip, err := recallSkip()
	cell.Check(err)
	return skip
}

func recallSkip() (bool, error) {
	skip, err := keptSkip.Load()
	switch {
	case errors.Is(err, cell.ErrNotKept):
		err = fmt.Errorf("the cell with SKIP_TRAINING has not run in this kernel; run it first, it stands below the one under %s", configurationCell)
	case err != nil:
		err = errors.New("the cell with SKIP_TRAINING did not run to its end; mend it and run it again")
	}
	return skip, err
}

// HasGPU reports whether training with Device "auto" will run on a GPU.
func HasGPU() bool { return Engine("auto") == "xla:cuda" }
