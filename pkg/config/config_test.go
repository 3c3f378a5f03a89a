package config

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
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
		"ValEvery":         func(c *Config) { c.ValEvery = 0 },
		"TileOverlap":      func(c *Config) { c.TileOverlap = 128 },
		"TrainCleanDir":    func(c *Config) { c.TrainCleanDir = " " },
		"Model":            func(c *Config) { c.Model = "../x" },
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
	want := []Change{{"batch_size", "16", "4", false}, {"model_features", "64", "32", true}}
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
