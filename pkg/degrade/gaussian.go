package degrade

import (
	"math"
	"math/rand/v2"

	"rekindle/pkg/rgb"
)

// Gaussian adds independent normal noise of mean 0 and standard deviation
// Sigma, in 8-bit levels, to each value of each channel, rounds to the nearest
// level and clips to 0..255. With Max above Sigma each picture has a level of its
// own between the two, all equally likely.
//
// Away from the limits the noise has no bias. Clipping brings one that grows
// with Sigma and draws towards the middle of the range: at Sigma 100 black comes
// out at 40 on average and white at 215, see [Gaussian.Mean]. So averaging
// noisy values does not give the clean one; a network has to learn more than
// that.
type Gaussian struct {
	Sigma, Max float64
	Unclipped  float64 // share of patches that [Gaussian.Spoil] takes
}

func newGaussian(s Settings) (Degradation, error) {
	sigma, err := newSpan("NoiseSigma", s.NoiseSigma, s.NoiseSigmaMax, 0, math.Inf(1))
	if err == nil {
		err = within("NoiseUnclipped", s.NoiseUnclipped, 0, 1)
	}
	return Gaussian{sigma.Low, sigma.High, s.NoiseUnclipped}, err
}

// Name is "gaussian/sigma_100", or "gaussian/sigma_0-55".
func (g Gaussian) Name() string { return "gaussian/sigma_" + g.span().String() }

// Margin is nothing.
func (g Gaussian) Margin() (margin, grid int) { return 0, 1 }

// Level draws the standard deviation.
func (g Gaussian) Level(r *rand.Rand) float64 { return g.span().draw(r) }

// Levels are Sigma and Max.
func (g Gaussian) Levels() (low, high float64) { return g.span().ends() }

func (g Gaussian) span() span { return span{g.Sigma, g.Max} }

// Apply returns a noisy copy.
func (g Gaussian) Apply(im *rgb.Image, r *rand.Rand) *rgb.Image {
	out := rgb.New(im.W, im.H)
	sigma := g.Level(r)
	for i, v := range im.Pix {
		out.Pix[i] = nearest(float64(v) + sigma*r.NormFloat64())
	}
	return out
}

// Spoil adds noise that is neither rounded nor clipped to planes in [-1,1], in a
// share of all calls, and returns its level; in the others it does nothing.
func (g Gaussian) Spoil(planes []float32, r *rand.Rand) (level float64, done bool) {
	if g.Unclipped == 0 || r.Float64() >= g.Unclipped {
		return 0, false
	}
	level = g.Level(r)
	for i := range planes {
		planes[i] += float32(level / 127.5 * r.NormFloat64())
	}
	return level, true
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
