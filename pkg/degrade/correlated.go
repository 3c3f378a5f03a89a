package degrade

import (
	"fmt"
	"math"
	"math/rand/v2"

	"rekindle/pkg/rgb"
)

// CorrelatedGaussian is normal noise of deviation Sigma, in 8-bit levels, that is
// not independent from pixel to pixel: white noise through a Gaussian of Width
// pixels. Values d pixels apart have the correlation exp(-d^2/(4*Width^2)). Such is
// the noise of pictures that a camera has interpolated from its mosaic of colours,
// made smaller, or smoothed. Channels are independent of each other. The result is
// rounded and clipped.
//
// With Max above Sigma, or WidthMax above Width, each picture has strengths of its
// own in between, all equally likely.
type CorrelatedGaussian struct {
	Sigma, Max      float64
	Width, WidthMax float64
}

func newCorrelatedGaussian(s Settings) (Degradation, error) {
	sigma, err := newSpan("NoiseSigma", s.NoiseSigma, s.NoiseSigmaMax, 0, math.Inf(1))
	if err != nil {
		return nil, err
	}
	width, err := newSpan("NoiseCorrelation", s.NoiseCorrelation, s.NoiseCorrelationMax, 0, 100)
	return CorrelatedGaussian{sigma.Low, sigma.High, width.Low, width.High}, err
}

// Name is "correlated_gaussian/sigma_25_width_1", with ranges
// "correlated_gaussian/sigma_0-55_width_0-2".
func (g CorrelatedGaussian) Name() string {
	return fmt.Sprintf("correlated_gaussian/sigma_%s_width_%s", span{g.Sigma, g.Max}, span{g.Width, g.WidthMax})
}

// Margin is nothing: pixels share the noise, not what is below it.
func (g CorrelatedGaussian) Margin() (margin, grid int) { return 0, 1 }

// Level draws the standard deviation.
func (g CorrelatedGaussian) Level(r *rand.Rand) float64 { return span{g.Sigma, g.Max}.draw(r) }

// Levels are Sigma and Max.
func (g CorrelatedGaussian) Levels() (low, high float64) { return span{g.Sigma, g.Max}.ends() }

// Apply returns a noisy copy.
func (g CorrelatedGaussian) Apply(im *rgb.Image, r *rand.Rand) *rgb.Image {
	sigma := g.Level(r)
	kernel := Blur{span{g.Width, g.WidthMax}.draw(r)}.weights()
	squares := 0.0
	for _, w := range kernel {
		squares += w * w
	}
	// A sum of independent values times weights has the squares' sum for its variance.
	for i := range kernel {
		kernel[i] /= math.Sqrt(squares)
	}

	// The white noise goes on beyond the picture, so that its border is as the middle.
	n := len(kernel)
	wide, high := 3*im.W, im.H+n-1
	across := make([]float64, wide*high)
	line := make([]float64, wide+3*(n-1))
	for y := range high {
		for i := range line {
			line[i] = r.NormFloat64()
		}
		sum(across[y*wide:][:wide], kernel, func(k int) []float64 { return line[3*k:] })
	}
	out := rgb.New(im.W, im.H)
	noise := make([]float64, wide)
	for y := range im.H {
		clear(noise)
		sum(noise, kernel, func(k int) []float64 { return across[(y+k)*wide:] })
		for i, v := range im.Pix[y*wide:][:wide] {
			out.Pix[y*wide+i] = nearest(float64(v) + sigma*noise[i])
		}
	}
	return out
}

// sum adds to dst what at gives for each of the weights, times the weight.
func sum(dst, weights []float64, at func(k int) []float64) {
	for k, w := range weights {
		from := at(k)[:len(dst)]
		for i, v := range from {
			dst[i] += w * v
		}
	}
}
