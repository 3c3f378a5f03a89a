package degrade

import (
	"fmt"
	"math"
	"math/rand/v2"

	"rekindle/pkg/rgb"
)

// Dithering is what happens to a value before it goes to the nearest level. All
// but None keep the mean: an area of one colour has it on average afterwards.
type Dithering int

const (
	None           Dithering = iota // nothing: bands
	Random                          // independent uniform noise of one step
	FloydSteinberg                  // the error goes on to the neighbours (Floyd & Steinberg 1976)
	Bayer                           // thresholds of an 8x8 pattern (Bayer 1973)
)

var ditherings = [...]string{"quantization", "dithering/random", "dithering/floyd_steinberg", "dithering/bayer"}

// Quantize leaves 2^Bits levels of each channel, evenly spaced from 0 to 255.
// (Levels rounded down, as some programs take them, would darken the picture.)
type Quantize struct {
	Bits      int // 1 to 8
	Dithering Dithering
}

func quantizer(d Dithering) func(Settings) (Degradation, error) {
	return func(s Settings) (Degradation, error) {
		if s.QuantizationBits < 1 || s.QuantizationBits > 8 {
			return nil, fmt.Errorf("degrade: QuantizationBits is %d; it must be 1 to 8 bits a channel", s.QuantizationBits)
		}
		return Quantize{s.QuantizationBits, d}, nil
	}
}

// Name is "quantization/2bit" or "dithering/random/2bit".
func (q Quantize) Name() string { return fmt.Sprintf("%s/%dbit", ditherings[q.Dithering], q.Bits) }

// settled is how far from where it begins error diffusion has the grain of the
// middle of a picture, in pixels.
const settled = 16

// Margin is the pattern's side for Bayer's thresholds. A diffused error goes on
// to the picture's end, so a part is never spoiled exactly as in the whole; with
// the margin its grain looks the same.
func (q Quantize) Margin() (margin, grid int) {
	switch q.Dithering {
	case FloydSteinberg:
		return settled, 1
	case Bayer:
		return 0, 8
	}
	return 0, 1
}

// Apply returns a copy with fewer levels.
func (q Quantize) Apply(im *rgb.Image, r *rand.Rand) *rgb.Image {
	if q.Dithering == FloydSteinberg {
		return q.diffuse(im)
	}
	out, step := rgb.New(im.W, im.H), q.step()
	for i, v := range im.Pix {
		x := float64(v)
		switch q.Dithering {
		case Random:
			x += (r.Float64() - 0.5) * step
		case Bayer:
			pixel := i / 3
			x += bayer(pixel%im.W, pixel/im.W) * step
		}
		out.Pix[i] = q.nearest(x)
	}
	return out
}

// step is the distance of two levels.
func (q Quantize) step() float64 { return 255 / float64(int(1)<<q.Bits-1) }

// nearest is the level closest to x.
func (q Quantize) nearest(x float64) uint8 {
	level := min(max(math.Floor(x/q.step()+0.5), 0), float64(int(1)<<q.Bits-1))
	return uint8(level*q.step() + 0.5)
}

// diffuse gives what rounding loses to the four neighbours that come later:
// 7/16 right, 3/16, 5/16 and 1/16 below. At the picture's border it is lost.
func (q Quantize) diffuse(im *rgb.Image) *rgb.Image {
	out := rgb.New(im.W, im.H)
	row := 3 * im.W
	here, below := make([]float64, row), make([]float64, row) // errors taken over
	for y := range im.H {
		clear(below)
		for i := range row {
			x := float64(im.Pix[y*row+i]) + here[i]
			v := q.nearest(x)
			out.Pix[y*row+i] = v
			lost := x - float64(v)
			give := func(to []float64, at int, share float64) {
				if at >= 0 && at < row {
					to[at] += lost * share / 16
				}
			}
			give(here, i+3, 7)
			give(below, i-3, 3)
			give(below, i, 5)
			give(below, i+3, 1)
		}
		here, below = below, here
	}
	return out
}

// bayer is a threshold of -1/2 to 1/2, the mean of the pattern being 0. The
// pattern's number at (x, y) has the bits of x^y and y, the lowest first on top.
func bayer(x, y int) float64 {
	n := 0
	for bit := range 3 {
		n = n<<2 | (x>>bit^y>>bit)&1<<1 | y>>bit&1
	}
	return (float64(n)+0.5)/64 - 0.5
}
