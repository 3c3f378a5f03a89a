package notebook

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
)

// trainedTo gives an experiment a checkpoint that was saved with cfg.
func trainedTo(t *testing.T, exp *experiment.Experiment, cfg config.Config, epoch int) {
	t.Helper()
	state := &checkpoint.State{Cursor: checkpoint.Cursor{Epoch: epoch}, Config: cfg, BestLoss: math.NaN()}
	if err := checkpoint.Save(exp.Checkpoints().Path(checkpoint.Last), state); err != nil {
		t.Fatal(err)
	}
}

// section2 runs the configuration cell.
func section2(t *testing.T, edit func(*config.Config)) *settings {
	t.Helper()
	s, err := configure(edit)
	if err != nil {
		t.Fatal(err)
	}
	if err := keptSettings.Save(*s); err != nil {
		t.Fatal(err)
	}
	return s
}

// origins returns what section 2 prints of each setting but the folders, by name.
func origins(printed *strings.Builder, s *settings) map[string]string {
	printed.Reset()
	s.show()
	found := map[string]string{}
	for line := range strings.Lines(printed.String()) {
		if words := strings.Fields(line); strings.HasPrefix(line, "      ") && words[0] != "setting" && !strings.HasSuffix(words[0], "Dir") {
			found[words[0]] = strings.Join(words[1:], " ")
		}
	}
	return found
}

func TestALineOfTheCellWinsOverThePresetAndTheVariableOverBoth(t *testing.T) {
	_, printed := kernelIn(t)
	t.Setenv(ConfigVariable, `{"num_epochs": 2, "patience": 3}`)
	s := section2(t, func(cfg *config.Config) {
		cfg.Device = "go"
		cfg.BatchSize, cfg.NumEpochs = 16, 9 // 16 is the default, and not the preset's
	})
	want := config.Preset("go")
	want.Device, want.BatchSize, want.NumEpochs, want.Patience = "go", 16, 2, 3
	if s.Config != want.WithFolders() {
		t.Errorf("got %+v\nwant %+v", s.Config, want)
	}
	shown := origins(printed, s)
	for name, text := range map[string]string{
		"BatchSize": "16 the cell; this machine's is 8", "NumEpochs": "2 REKINDLE_CONFIG; this machine's is 7", "Patience": "3 REKINDLE_CONFIG; the default is 5",
		"Device": `"go" the cell; the default is "auto"`, "PatchSize": "64 this machine; the default is 128", "WarmupEpochs": "1 this machine; the default is 5",
	} {
		if shown[name] != text {
			t.Errorf("%s is shown as %q, want %q", name, shown[name], text)
		}
	}
	if text, found := shown["ValPatchesPerImage"]; found {
		t.Errorf("a default is shown: %s", text)
	}
}

func TestTheBaseOfANewRunIsThePresetOfTheEngineThatIsMeant(t *testing.T) {
	kernelIn(t)
	s := section2(t, func(cfg *config.Config) { cfg.Device = "go" })
	if s.Preset != "go" || s.Config.ModelFeatures != config.Preset("go").ModelFeatures {
		t.Errorf("for the Go engine: the preset of %s, %d features", s.Preset, s.Config.ModelFeatures)
	}
}

func TestAResumedRunKeepsTheSettingsThatTheCellDoesNotMention(t *testing.T) {
	cfg, printed := kernelIn(t)
	cfg.NumEpochs, cfg.BatchSize, cfg.NoiseSigma, cfg.MaxSteps, cfg.NumWorkers = 50, 3, 25, 7, 9
	cfg.TrainDegradedDir, cfg.ValDegradedDir = "", ""
	cfg = cfg.WithFolders()
	exp := mustSetUp(t, cfg, false)
	began := cfg
	cfg.BatchSize = 2 // in a later session
	trainedTo(t, exp, cfg, 4)
	t.Setenv("GONB_TMP_DIR", t.TempDir()) // a new kernel
	s := section2(t, func(c *config.Config) {
		c.ResumeFromCheckpoint = true
		c.NumEpochs = 60
	})
	want := cfg
	want.ResumeFromCheckpoint, want.NumEpochs = true, 60
	want.MaxSteps, want.NumWorkers = 0, config.Default().NumWorkers // of the session and of the machine
	if s.Config != want {
		t.Errorf("got %+v\nwant %+v", s.Config, want)
	}
	shown := origins(printed, s)
	for name, text := range map[string]string{
		"BatchSize": "2 the experiment; the default is 16", "NoiseSigma": "25 the experiment; the default is 100",
		"NumEpochs": "60 the cell; the experiment's is 50",
	} {
		if shown[name] != text {
			t.Errorf("%s is shown as %q, want %q", name, shown[name], text)
		}
	}
	if !strings.Contains(printed.String(), "Base: the settings of "+exp.Name()+", after epoch 4\n") {
		t.Errorf("printed %s", printed)
	}
	// Its folders of copies follow the noise that the cell changes.
	s = section2(t, func(c *config.Config) { c.ResumeFromCheckpoint, c.NoiseSigma = true, 30 })
	if s.Config.TrainDegradedDir != "data/degraded/gaussian/sigma_30/train" {
		t.Errorf("the copies are in %s", s.Config.TrainDegradedDir)
	}
	// Without a checkpoint it keeps what it began with.
	if err := os.RemoveAll(exp.CheckpointsDir()); err != nil {
		t.Fatal(err)
	}
	if s = section2(t, func(c *config.Config) { c.ResumeFromCheckpoint = true }); s.Config.BatchSize != began.BatchSize {
		t.Errorf("without a checkpoint the batch size is %d, want %d", s.Config.BatchSize, began.BatchSize)
	}
	// A fork begins with its parent's settings.
	s = section2(t, func(c *config.Config) { c.ForkExperiment, c.ExperimentName, c.LearningRate = exp.Name(), "fork", 5e-4 })
	if s.Config.NoiseSigma != 25 || s.Config.LearningRate != 5e-4 || s.Config.ResumeFromCheckpoint {
		t.Errorf("a fork: %+v", s.Config)
	}
}

func TestWhatThisKernelWorksOnIsMeantEvenIfAnotherIsNewer(t *testing.T) {
	cfg, _ := kernelIn(t)
	cfg.BatchSize = 3
	mine := mustSetUp(t, cfg, false)
	trainedTo(t, mine, cfg, 1)
	other := cfg
	other.BatchSize = 5
	newer, err := experiment.Create(other, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	trainedTo(t, newer, other, 1)
	if s := section2(t, func(c *config.Config) { c.ResumeFromCheckpoint = true }); s.Config.BatchSize != 3 {
		t.Errorf("the base is another kernel's: batch size %d", s.Config.BatchSize)
	}
	// Named, the other one is meant, but the cells use the one of section 3 until that is run again.
	s := section2(t, func(c *config.Config) {
		c.ResumeFromCheckpoint, c.ResumeExperiment, c.NumEpochs = true, newer.Name(), 77
	})
	if s.Config.BatchSize != 5 {
		t.Errorf("the named one's batch size is 5, got %d", s.Config.BatchSize)
	}
	now, err := currentSettings()
	if err != nil || now.Config.BatchSize != 3 || now.Config.NumEpochs != 77 {
		t.Errorf("cells that work on %s get batch size %d and %d epochs, %v", mine.Name(), now.Config.BatchSize, now.Config.NumEpochs, err)
	}
	if exp, err := setUp(now.Config, false, noon); err != nil || exp.Dir != newer.Dir {
		t.Fatalf("got %v, %v", exp, err)
	}
	if now, err = currentSettings(); err != nil || now.Config.BatchSize != 5 || now.Config.NumEpochs != 77 {
		t.Errorf("after section 3: batch size %d, %d epochs, %v", now.Config.BatchSize, now.Config.NumEpochs, err)
	}
}

func TestALookHasTheSettingsOfWhatIsLookedAt(t *testing.T) {
	cfg, printed := kernelIn(t)
	cfg.PatchSize, cfg.NoiseSigma = 48, 60
	trainedTo(t, mustSetUp(t, cfg, false), cfg, 1)
	t.Setenv("GONB_TMP_DIR", t.TempDir())
	s := section2(t, func(c *config.Config) { c.MaxEvalImages = 3 }) // ResumeFromCheckpoint is false
	if s.Config.PatchSize == 48 {
		t.Fatal("a new run has the settings of another")
	}
	mustSetUp(t, s.Config, true)
	now, err := currentSettings()
	if err != nil || now.Config.PatchSize != 48 || now.Config.NoiseSigma != 60 || now.Config.MaxEvalImages != 3 {
		t.Errorf("got %+v, %v", now.Config, err)
	}
	if !strings.Contains(printed.String(), "The settings are those of") {
		t.Errorf("nothing says so: %s", printed)
	}
}

func TestCellsSayWhichCellToRunFirst(t *testing.T) {
	cfg, _ := kernelIn(t)
	_, err := currentSettings()
	wants(t, err, "no settings yet", `"2. Configuration"`, `"3. Create Output Directories"`)
	_, err = recallSkip()
	wants(t, err, "SKIP_TRAINING", "has not run in this kernel", `"2. Configuration"`)
	section2(t, func(c *config.Config) { *c = cfg })
	if _, err := currentSettings(); err != nil {
		t.Error(err)
	}
	for _, skip := range []bool{true, false} {
		SkipTraining(skip)
		if got, err := recallSkip(); err != nil || got != skip {
			t.Errorf("got %v, %v, want %v", got, err, skip)
		}
	}
	// The first line of both cells, which runs before their Go code is compiled.
	for _, path := range []string{"rekindle_settings.json", "rekindle_skip"} {
		if err := os.WriteFile(filepath.Join(os.Getenv("GONB_TMP_DIR"), path), []byte("\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	_, err = currentSettings()
	wants(t, err, `"2. Configuration" did not run to its end`)
	_, err = recallSkip()
	wants(t, err, "SKIP_TRAINING did not run to its end")
}

func TestSettingsThatCannotWorkAreNamed(t *testing.T) {
	kernelIn(t)
	for text, parts := range map[string][]string{
		`{"num_epoch": 2}`:           {ConfigVariable, `did you mean "num_epochs"`},
		`{"seed": 2, "seed": 3}`:     {ConfigVariable, `"seed" is given twice`},
		`{"batch_size": "16"}`:       {ConfigVariable, "it must be a whole number"},
		`{"model": "unet3"}`:         {`model is "unet3"`, "attention_unet"},
		`{"num_epochs": 0}`:          {"num_epochs is 0; it must be at least 1"},
		`{"experiment_name": "a/b"}`: {"experiment_name", "plain name"},
	} {
		t.Setenv(ConfigVariable, text)
		_, err := configure(func(*config.Config) {})
		wants(t, err, parts...)
	}
	t.Setenv(ConfigVariable, "")
	_, err := configure(func(c *config.Config) { c.BatchSize, c.NoiseSigma, c.LearningRate = 0, -1, math.NaN() })
	wants(t, err, "BatchSize is 0", "NoiseSigma is -1", "LearningRate is NaN")
}

func TestAnUnreadableExperimentIsSaid(t *testing.T) {
	cfg, printed := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	if err := os.WriteFile(exp.ConfigPath(), []byte(`{"batch_size": "two", "num_epochs": 33, "oom_policy": "stop"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	s := section2(t, func(c *config.Config) { c.ResumeFromCheckpoint = true })
	if s.Config.NumEpochs != 33 || !strings.Contains(printed.String(), `"batch_size" is "two"`) {
		t.Errorf("%d epochs; printed %s", s.Config.NumEpochs, printed)
	}
}

func TestTheOutputNamesWhatWasChosenAndWhatWasPassedOver(t *testing.T) {
	cfg, printed := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	trainedTo(t, exp, cfg, 2)
	if err := os.CopyFS(exp.Dir+"_backup", os.DirFS(exp.Dir)); err != nil {
		t.Fatal(err)
	}
	other := cfg
	other.ExperimentName = "other"
	newer, err := experiment.Create(other, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	cfg.ResumeFromCheckpoint = true
	printed.Reset()
	if got := mustSetUp(t, cfg, false); got.Dir != exp.Dir {
		t.Errorf("got %s", got.Dir)
	}
	for _, part := range []string{"📁 Experiment: " + exp.Name() + "\n", exp.Name() + "_backup", "it is a copy of " + exp.Name(), newer.Name(), `it is not called "bilinear"`, "Newest checkpoint: last_checkpoint.pth, epoch 2"} {
		if !strings.Contains(printed.String(), part) {
			t.Errorf("got %s\nwant it to say %q", printed, part)
		}
	}
}

func TestASlipLeavesNoFolder(t *testing.T) {
	cfg, printed := kernelIn(t)
	first := mustSetUp(t, cfg, false)
	cfg.BatchSize = 3
	second := mustSetUp(t, cfg, false)
	names, err := experiment.List(cfg)
	if err != nil || !slices.Equal(names, []string{second.Name()}) || second.Dir == first.Dir {
		t.Errorf("two runs of section 3 left %v, %v", names, err)
	}
	if !strings.Contains(printed.String(), first.Name()+" never got going") {
		t.Errorf("nothing says so: %s", printed)
	}
	// Nor does a run that cannot begin.
	cfg.TrainCleanDir = "photographs"
	if _, err := setUp(cfg, false, noon); err == nil {
		t.Fatal("there are no photographs")
	}
	if now, _ := experiment.List(cfg); !slices.Equal(now, names) {
		t.Errorf("left %v", now)
	}
}

func TestAnotherFolderMeansAnotherExperiment(t *testing.T) {
	cfg, _ := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	cfg.BatchSize = 3
	trainedTo(t, exp, cfg, 1)
	// The current experiment is of another network than the cell now says.
	s := section2(t, func(c *config.Config) { c.ResumeFromCheckpoint, c.Model = true, "attention_unet" })
	if s.Experiment != "" || s.Config.BatchSize == 3 {
		t.Errorf("the base is that of %s", s.Experiment)
	}
	_, err := current(s.Config)
	wants(t, err, "attention_unet")
	if _, err := setUp(s.Config, false, noon); !errors.Is(err, experiment.ErrNone) {
		t.Errorf("got %v, want nothing to resume", err)
	}
	if _, err := os.Stat(filepath.Join("experiments", "attention_unet")); err == nil {
		t.Error("a folder was made")
	}
}

func TestSettingsThatCannotWorkAreNamedAsTheyWereGiven(t *testing.T) {
	kernelIn(t)
	for _, c := range []struct {
		variable string
		edit     func(*config.Config)
		want     []string
	}{
		{"", func(cfg *config.Config) { cfg.Model = "unett" }, []string{`Model is "unett"`, `"unet"`, `"dncnn"`}},
		{"", func(cfg *config.Config) { cfg.BatchSize = 0 }, []string{"BatchSize is 0"}},
		{`{"batch_size": 0}`, func(cfg *config.Config) { cfg.NumEpochs = 0 }, []string{"batch_size is 0", "NumEpochs is 0"}},
		{`{num_epochs: 2}`, func(*config.Config) {}, []string{"what arrived is {num_epochs: 2}", "the quotes of JSON are gone", `%env REKINDLE_CONFIG "{\"num_epochs\": 2}"`}},
		{`{"num_epochs": 2`, func(*config.Config) {}, []string{"ends too early", `what arrived is {"num_epochs": 2`}},
	} {
		t.Setenv(ConfigVariable, c.variable)
		_, err := configure(c.edit)
		wants(t, err, c.want...)
		if names, _ := filepath.Glob("experiments/*"); len(names) > 0 {
			t.Errorf("it left %q", names)
		}
	}
}

func TestALookIsNoResume(t *testing.T) {
	cfg, printed := kernelIn(t)
	mustSetUp(t, cfg, false)
	printed.Reset()
	cfg.ResumeFromCheckpoint = true
	mustSetUp(t, cfg, true)
	if got := printed.String(); strings.Contains(got, "RESUME MODE") || !strings.Contains(got, "SKIP_TRAINING = true: Looking at an existing experiment") {
		t.Errorf("printed %q", got)
	}
}
