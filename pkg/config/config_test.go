package config

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/degrade"
)

func TestTheDefaultsAreValidAndTheOriginals(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.BatchSize != 16 || c.PatchSize != 128 || c.PatchesPerImage != 20 || c.ModelFeatures != 64 || c.NumEpochs != 36 ||
		c.LearningRate != 1e-4 || c.WeightDecay != 1e-5 || c.NoiseSigma != 100 || c.WarmupEpochs != 5 || c.SaveEvery != 5 || c.ValEvery != 2 || c.Patience != 5 {
		t.Errorf("defaults differ from the original's: %+v", c)
	}
}

func TestEveryBadValueIsNamed(t *testing.T) {
	for key, spoil := range map[string]func(*Config){
		"BatchSize":        func(c *Config) { c.BatchSize = 0 },
		"NumEpochs":        func(c *Config) { c.NumEpochs = -1 },
		"PatchSize":        func(c *Config) { c.PatchSize = 8 },
		"NoiseSigma":       func(c *Config) { c.NoiseSigma = -1 },
		"Scheduler":        func(c *Config) { c.Scheduler = "cosin" },
		"Device":           func(c *Config) { c.Device = "tpu" },
		"OOMPolicy":        func(c *Config) { c.OOMPolicy = "pray" },
		"LearningRate":     func(c *Config) { c.LearningRate = math.NaN() },
		"LossAlpha":        func(c *Config) { c.LossAlpha = -0.1 },
		"LossGamma":        func(c *Config) { c.LossGamma = -0.1 },
		"VGGWeights":       func(c *Config) { c.LossGamma = 0.1 },
		"KeepCheckpoints":  func(c *Config) { c.KeepCheckpoints = -1 },
		"MaxSteps":         func(c *Config) { c.MaxSteps = -1 },
		"MaxMinutes":       func(c *Config) { c.MaxMinutes = math.Inf(1) },
		"InitialWeights":   func(c *Config) { c.InitialWeights, c.ForkExperiment = "a.pth", "latest" },
		"ValEvery":         func(c *Config) { c.ValEvery = 0 },
		"TileOverlap":      func(c *Config) { c.TileOverlap = 128 },
		"TrainCleanDir":    func(c *Config) { c.TrainCleanDir = " " },
		"Model":            func(c *Config) { c.Model = "../x" },
		"Degradation":      func(c *Config) { c.Degradation = "gausian" },
		"ResumeExperiment": func(c *Config) { c.ResumeExperiment = "a/b" },
	} {
		c := Default()
		spoil(&c)
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s spoilt: got %v, want an error naming it", key, err)
		}
		if err != nil && strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%s spoilt: more than one complaint: %v", key, err)
		}
	}
}

func TestTheStrengthOfTheChosenDegradationIsChecked(t *testing.T) {
	for key, c := range map[string]struct {
		degradation string
		spoil       func(*Config)
		says        string
	}{
		"SaltPepperDensity": {"salt_pepper", func(c *Config) { c.SaltPepperDensity = 5 }, "0 to 1"},
		"SaltRatio":         {"salt_pepper", func(c *Config) { c.SaltRatio = -1 }, "0 to 1"},
		"QuantizationBits":  {"dithering/random", func(c *Config) { c.QuantizationBits = 9 }, "1 to 8"},
		"BlurSigma":         {"blur", func(c *Config) { c.BlurSigma = math.Inf(1) }, "0 to 100"},
		"MotionLength":      {"motion_blur", func(c *Config) { c.MotionLength = 0 }, "1 to 1000"},
		"MotionAngle":       {"motion_blur", func(c *Config) { c.MotionAngle = math.NaN() }, "-360 to 360"},
		"JPEGQuality":       {"jpeg", func(c *Config) { c.JPEGQuality = 0 }, "1 to 100"},
		"LightFactor":       {"low_light", func(c *Config) { c.LightFactor = 0.5 }, "1 to 1000"},
	} {
		cfg := Default()
		c.spoil(&cfg)
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s, which gaussian does not look at: %v", key, err)
		}
		cfg.Degradation = c.degradation
		err := cfg.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "config: "+key+" is ") || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one sentence that says %q", key, err, c.says)
		}
	}
}

func TestEveryDegradationHasAUsualStrengthAndIsChosenByItsName(t *testing.T) {
	for _, name := range degrade.Names() {
		cfg := Default()
		cfg.Degradation = name
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d, err := cfg.NewDegradation(); err != nil || !strings.HasPrefix(d.Name(), name+"/") {
			t.Errorf("%s: got %v, %v", name, d, err)
		}
	}
}

// Files written before there were other degradations than noise.
func TestAnOldFileHasTheUsualStrengths(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(`{"degradation": "gaussian", "noise_sigma": 50, "batch_size": 2}`), 0o666); err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.NoiseSigma, want.BatchSize = 50, 2
	got, err := Load(path)
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	want.JPEGQuality, want.DegradeOnTheFly = 30, true
	if changes := Diff(got, want); len(changes) != 2 ||
		changes[0] != (Change{"jpeg_quality", "10", "30", false, true}) || changes[1] != (Change{"degrade_on_the_fly", "false", "true", false, false}) {
		t.Errorf("the changes are %v", changes)
	}
}

func TestFoldersOfCopiesAreNamedAfterTheStrength(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"data/degraded/gaussian/sigma_100/":    func(*Config) {},
		"data/degraded/gaussian/sigma_12.5/":   func(c *Config) { c.NoiseSigma = 12.5 },
		"data/degraded/dithering/random/2bit/": func(c *Config) { c.Degradation = "dithering/random" },
		"data/degraded/jpeg/quality_25/":       func(c *Config) { c.Degradation, c.JPEGQuality = "jpeg", 25 },
		"data/degraded/motion_blur/length_15/": func(c *Config) { c.Degradation, c.TrainDegradedDir = "motion_blur", " " },
		"data/degraded/low_light/factor_3/":    func(c *Config) { c.Degradation, c.LightFactor = "low_light", 3 },
		"data/degraded/gaussian/sigma_100/mine": func(c *Config) {
			c.TrainDegradedDir, c.ValDegradedDir = "data/degraded/gaussian/sigma_100/mine", "mine"
		},
	} {
		c := Default()
		change(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		train, val := want+"train", want+"val"
		if strings.HasSuffix(want, "mine") {
			train, val = want, "mine"
		}
		if got := c.WithFolders(); got.TrainDegradedDir != train || got.ValDegradedDir != val {
			t.Errorf("got %s and %s, want %s and %s", got.TrainDegradedDir, got.ValDegradedDir, train, val)
		}
	}
}

func TestSaveAndLoadAreInverse(t *testing.T) {
	c := Default()
	c.NoiseSigma, c.Seed, c.ModelBilinear = 12.5, 1<<60, false
	path := filepath.Join(t.TempDir(), "config.json")
	if err := c.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil || got != c {
		t.Errorf("got %+v, %v; want %+v", got, err, c)
	}
}

func TestDiffNamesKeysAndIgnoresResume(t *testing.T) {
	a, b := Default(), Default()
	b.ResumeFromCheckpoint, b.ResumeExperiment, b.BatchSize, b.ModelFeatures = true, "x", 4, 32
	got := Diff(a, b)
	want := []Change{{"batch_size", "16", "4", false, false}, {"model_features", "64", "32", true, false}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestOverrideNamesTheNearestKey(t *testing.T) {
	c, err := Default().Override(`{"num_epochs": 2, "device": "go"}`)
	if err != nil || c.NumEpochs != 2 || c.Device != "go" || c.BatchSize != 16 {
		t.Errorf("got %+v, %v", c, err)
	}
	for text, want := range map[string]string{
		`{"num_epoch": 2}`:       `did you mean "num_epochs"`,
		`{"num_epochs": "many"}`: "num_epochs",
		`num_epochs=2`:           "not a JSON object",
	} {
		if _, err := Default().Override(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestANameThatNoFileSystemTakesIsRefused(t *testing.T) {
	c := Default()
	for name, good := range map[string]bool{"-my run [1]": true, strings.Repeat("x", 150): true, strings.Repeat("x", 151): false, strings.Repeat("é", 80): false} {
		c.ExperimentName = name
		if err := c.Validate(); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}
