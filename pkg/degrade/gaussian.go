package degrade

import (
	"fmt"
	"math"
	"math/rand/v2"

	"rekindle/pkg/rgb"
)

// Gaussian adds independent normal noise of mean 0 and standard deviation
// Sigma, in 8-bit levels, to each value of each channel, rounds to the nearest
// level and clips to 0..255.
//
// Away from the limits the noise has no bias. Clipping brings one that grows
// with Sigma and draws towards the middle of the range: at Sigma 100 black comes
// out at 40 on average and white at 215, see [Gaussian.Mean]. So averaging
// noisy values does not give the clean one; a network has to learn more than
// that.
type Gaussian struct {
	Sigma float64
}

func newGaussian(s Settings) (Degradation, error) {
	if !(s.NoiseSigma >= 0) || math.IsInf(s.NoiseSigma, 0) {
		return nil, fmt.Errorf("degrade: NoiseSigma is %v; it must be 0 or more 8-bit levels", s.NoiseSigma)
	}
	return Gaussian{s.NoiseSigma}, nil
}

// Name is "gaussian/sigma_100".
func (g Gaussian) Name() string { return "gaussian/sigma_" + number(g.Sigma) }

// Reach is nothing.
func (g Gaussian) Reach() (margin, grid int) { return 0, 1 }

// Apply returns a noisy copy.
func (g Gaussian) Apply(im *rgb.Image, r *rand.Rand) *rgb.Image {
	out := rgb.New(im.W, im.H)
	for i, v := range im.Pix {
		x := float64(v) + g.Sigma*r.NormFloat64()
		switch {
		case x >= 255:
			out.Pix[i] = 255
		case x > 0:
			out.Pix[i] = uint8(x + 0.5)
		}
	}
	return out
}

// Mean is the expectation of a noisy value whose clean value is v, clipping
// included: with a = (0-v)/Sigma, b = (255-v)/Sigma, normal density f and
// distribution F, it is 255*(1-F(b)) + v*(F(b)-F(a)) + Sigma*(f(a)-f(b)).
func (g Gaussian) Mean(v uint8) float64 {
	if g.Sigma == 0 {
		return float64(v)
	}
	density := func(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }
	below := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	a, b := -float64(v)/g.Sigma, (255-float64(v))/g.Sigma
	return 255*(1-below(b)) + float64(v)*(below(b)-below(a)) + g.Sigma*(density(a)-density(b))
}
