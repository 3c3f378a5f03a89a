package degrade

import (
	"math"
	"math/rand/v2"

	"rekindle/pkg/rgb"
)

// LowLight is a picture taken with 1/Factor of the light. The values become
// amounts of light by a gamma of 2.2; white is fullWell electrons. What the
// sensor counts has the Poisson distribution (shot noise), and reading it adds
// normal noise of readNoise electrons (Foi et al., "Practical Poissonian-Gaussian
// noise modeling", IEEE TIP 2008). The result is as dark as it was taken.
type LowLight struct {
	Factor float64
}

const (
	fullWell  = 4000.0
	readNoise = 4.0
	gamma     = 2.2
)

func newLowLight(s Settings) (Degradation, error) {
	if err := within("LightFactor", s.LightFactor, 1, 1000); err != nil {
		return nil, err
	}
	return LowLight{s.LightFactor}, nil
}

// Name is "low_light/factor_10".
func (l LowLight) Name() string { return "low_light/factor_" + number(l.Factor) }

// Margin is nothing.
func (l LowLight) Margin() (margin, grid int) { return 0, 1 }

// Apply returns a dark, noisy copy.
func (l LowLight) Apply(im *rgb.Image, r *rand.Rand) *rgb.Image {
	var electrons [256]float64
	for v := range electrons {
		electrons[v] = math.Pow(float64(v)/255, gamma) * fullWell / l.Factor
	}
	out := rgb.New(im.W, im.H)
	for i, v := range im.Pix {
		read := poisson(electrons[v], r) + readNoise*r.NormFloat64()
		out.Pix[i] = uint8(255*math.Pow(min(max(read/fullWell, 0), 1), 1/gamma) + 0.5)
	}
	return out
}
