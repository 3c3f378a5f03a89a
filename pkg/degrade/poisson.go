package degrade

import (
	"fmt"
	"math"
	"math/rand/v2"

	"rekindle/pkg/rgb"
)

// PoissonGaussian is the noise of a camera's sensor, which grows with the light:
// a value v becomes Gain*P + Read*N, with P the Poisson count of v/Gain electrons
// (shot noise) and N normal of deviation 1 (read noise), so that its variance is
// Gain*v + Read^2 (Foi et al., "Practical Poissonian-Gaussian noise modeling and
// fitting for single-image raw-data", IEEE TIP 2008). All three are in 8-bit
// levels; Gain is how many of them an electron makes. The result is rounded and
// clipped. With GainMax or ReadMax above the other end each picture has strengths
// of its own in between, all equally likely.
//
// LowLight is the same in linear light, darker.
type PoissonGaussian struct {
	Gain, GainMax float64
	Read, ReadMax float64
}

func newPoissonGaussian(s Settings) (Degradation, error) {
	gain, err := newSpan("SensorGain", s.SensorGain, s.SensorGainMax, 0, 255)
	if err != nil {
		return nil, err
	}
	read, err := newSpan("ReadNoise", s.ReadNoise, s.ReadNoiseMax, 0, 255)
	return PoissonGaussian{gain.Low, gain.High, read.Low, read.High}, err
}

// Name is "poisson_gaussian/gain_1_read_5", with ranges
// "poisson_gaussian/gain_0-4_read_0-10".
func (p PoissonGaussian) Name() string {
	return fmt.Sprintf("poisson_gaussian/gain_%s_read_%s", span{p.Gain, p.GainMax}, span{p.Read, p.ReadMax})
}

// Margin is nothing.
func (p PoissonGaussian) Margin() (margin, grid int) { return 0, 1 }

// Level is the standard deviation at middle grey.
func (p PoissonGaussian) Level(r *rand.Rand) float64 {
	return atMiddleGrey(p.draw(r))
}

// Levels are those of both strengths at their lower and at their upper ends.
func (p PoissonGaussian) Levels() (low, high float64) {
	return atMiddleGrey(p.Gain, p.Read), atMiddleGrey(max(p.Gain, p.GainMax), max(p.Read, p.ReadMax))
}

func atMiddleGrey(gain, read float64) float64 { return math.Sqrt(gain*127.5 + read*read) }

func (p PoissonGaussian) draw(r *rand.Rand) (gain, read float64) {
	gain = span{p.Gain, p.GainMax}.draw(r)
	return gain, span{p.Read, p.ReadMax}.draw(r)
}

// Apply returns a noisy copy.
func (p PoissonGaussian) Apply(im *rgb.Image, r *rand.Rand) *rgb.Image {
	gain, read := p.draw(r)
	out := rgb.New(im.W, im.H)
	for i, v := range im.Pix {
		x := float64(v)
		if gain > 0 {
			x = gain * poisson(x/gain, r)
		}
		out.Pix[i] = nearest(x + read*r.NormFloat64())
	}
	return out
}

// poisson draws a count of the given mean: by Knuth's product of uniform numbers
// for small means, else by the rounded normal distribution, whose skewness of
// 1/sqrt(mean) is missing.
func poisson(mean float64, r *rand.Rand) float64 {
	if mean > 50 {
		return max(0, math.Floor(mean+math.Sqrt(mean)*r.NormFloat64()+0.5))
	}
	n, limit := 0.0, math.Exp(-mean)
	for product := r.Float64(); product > limit; product *= r.Float64() {
		n++
	}
	return n
}
