package config

import (
	"path"
	"strings"

	"rekindle/pkg/degrade"
)

// NewDegradation makes the degradation that the configuration names, in its
// strength.
func (c Config) NewDegradation() (degrade.Degradation, error) {
	return degrade.New(c.Degradation, degrade.Settings{
		NoiseSigma: c.NoiseSigma, NoiseSigmaMax: c.NoiseSigmaMax, NoiseUnclipped: c.NoiseUnclipped,
		NoiseCorrelation: c.NoiseCorrelation, NoiseCorrelationMax: c.NoiseCorrelationMax,
		SensorGain: c.SensorGain, SensorGainMax: c.SensorGainMax, ReadNoise: c.ReadNoise, ReadNoiseMax: c.ReadNoiseMax,
		SaltPepperDensity: c.SaltPepperDensity, SaltRatio: c.SaltRatio, QuantizationBits: c.QuantizationBits, BlurSigma: c.BlurSigma,
		MotionLength: c.MotionLength, MotionAngle: c.MotionAngle, JPEGQuality: c.JPEGQuality, JPEGQualityMax: c.JPEGQualityMax, LightFactor: c.LightFactor,
	})
}

// DegradedDir is where copies spoiled by d lie for a part of the data, "train" or
// "val": data/degraded/gaussian/sigma_100/train.
func DegradedDir(d degrade.Degradation, part string) string {
	return path.Join("data/degraded", d.Name(), part)
}

// WithFolders names folders of degraded copies that are left empty after the
// degradation and its strength, so that runs with different ones do not meet.
// What reads pictures wants a Config made so.
func (c Config) WithFolders() Config {
	d, err := c.NewDegradation()
	if err != nil {
		return c // Validate says what is wrong
	}
	if strings.TrimSpace(c.TrainDegradedDir) == "" {
		c.TrainDegradedDir = DegradedDir(d, "train")
	}
	if strings.TrimSpace(c.ValDegradedDir) == "" {
		c.ValDegradedDir = DegradedDir(d, "val")
	}
	return c
}

// withoutFolders is the inverse of [Config.WithFolders]: folders with the names
// that it gives are left empty, so that they follow a change of the degradation.
func (c Config) withoutFolders() Config {
	named := c
	named.TrainDegradedDir, named.ValDegradedDir = "", ""
	named = named.WithFolders()
	if c.TrainDegradedDir == named.TrainDegradedDir {
		c.TrainDegradedDir = ""
	}
	if c.ValDegradedDir == named.ValDegradedDir {
		c.ValDegradedDir = ""
	}
	return c
}

// OwnCopies says whether a network is trained with degraded pictures of somebody's
// own, in a folder with a name of its own, of which the strengths say nothing.
func (c Config) OwnCopies() bool {
	made := c
	made.TrainDegradedDir = ""
	own := c.TrainDegradedDir
	return own != "" && own != made.WithFolders().TrainDegradedDir && !c.DegradeOnTheFly
}

// NoiseLevels are the lowest and the highest level of the noise that a network is
// trained for, standard deviations in grey levels; both are 0 where it is not
// noise or not known.
func (c Config) NoiseLevels() (low, high float64) {
	d, err := c.NewDegradation()
	noise, ok := d.(degrade.Noise)
	if err != nil || !ok || c.OwnCopies() {
		return 0, 0
	}
	return noise.Levels()
}
