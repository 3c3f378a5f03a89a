package config

import "rekindle/pkg/degrade"

// NewDegradation makes the degradation that the configuration names, in its
// strength.
func (c Config) NewDegradation() (degrade.Degradation, error) {
	return degrade.New(c.Degradation, degrade.Settings{
		NoiseSigma: c.NoiseSigma, SaltPepperDensity: c.SaltPepperDensity, SaltRatio: c.SaltRatio,
		QuantizationBits: c.QuantizationBits, BlurSigma: c.BlurSigma, MotionLength: c.MotionLength,
		MotionAngle: c.MotionAngle, JPEGQuality: c.JPEGQuality, LightFactor: c.LightFactor,
	})
}
