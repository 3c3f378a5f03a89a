package degrade

import (
	"math"
	"math/rand/v2"
	"testing"

	"rekindle/pkg/rgb"
)

// luminance is table K.1 of the JPEG standard, row by row.
var luminance = [64]float64{
	16, 11, 10, 16, 24, 40, 51, 61,
	12, 12, 14, 19, 26, 58, 60, 55,
	14, 13, 16, 24, 40, 57, 69, 56,
	14, 17, 22, 29, 51, 87, 80, 62,
	18, 22, 37, 56, 68, 109, 103, 77,
	24, 35, 55, 64, 81, 104, 113, 92,
	49, 64, 78, 87, 103, 121, 120, 101,
	72, 92, 95, 98, 112, 100, 103, 99,
}

// basis is the value at x of the cosine of frequency u.
func basis(x, u int) float64 {
	scale := 0.5
	if u == 0 {
		scale = math.Sqrt(0.125)
	}
	return scale * math.Cos(float64(2*x+1)*float64(u)*math.Pi/16)
}

// byTheBook compresses a grey block by the standard's formulas, with the table
// scaled to the quality as the IJG's library does. sure is false where a
// coefficient lies between two steps, so that an integer transform may take
// the other one.
func byTheBook(block [64]float64, quality int) (out [64]float64, sure bool) {
	scale := math.Floor(5000 / float64(quality))
	if quality >= 50 {
		scale = 200 - 2*float64(quality)
	}
	sure = true
	for v := range 8 {
		for u := range 8 {
			c := 0.0
			for i, p := range block {
				c += (p - 128) * basis(i%8, u) * basis(i/8, v)
			}
			step := min(max(math.Floor((luminance[8*v+u]*scale+50)/100), 1), 255)
			level := math.Round(c / step)
			sure = sure && math.Abs(math.Abs(c/step-level)-0.5) > 0.15/step
			for i := range out {
				out[i] += level * step * basis(i%8, u) * basis(i/8, v)
			}
		}
	}
	for i := range out {
		out[i] = min(max(out[i]+128, 0), 255)
	}
	return out, sure
}

func TestJPEGLosesWhatTheStandardSays(t *testing.T) {
	const w, h = 128, 64
	r := rand.New(rand.NewPCG(3, 1))
	im := rgb.New(w, h)
	for y := range h {
		for x := range w { // waves and noise, grey
			v := uint8(min(max(128+60*math.Sin(float64(x*y)/150)+40*math.Cos(float64(x)/9)+8*r.NormFloat64(), 0), 255))
			copy(im.Pix[(y*w+x)*3:], []uint8{v, v, v})
		}
	}
	for _, quality := range []int{1, 10, 25, 50, 75} {
		got := JPEG{Quality: quality}.Apply(im, nil)
		compared, lost := 0, 0.0
		for top := 0; top < h; top += 8 {
			for left := 0; left < w; left += 8 {
				var block [64]float64
				at := func(i int) int { return ((top+i/8)*w + left + i%8) * 3 }
				for i := range block {
					block[i] = float64(im.Pix[at(i)])
				}
				want, sure := byTheBook(block, quality)
				if !sure {
					continue
				}
				compared++
				for i := range want {
					for c := range 3 {
						if p := got.Pix[at(i)+c]; math.Abs(float64(p)-want[i]) > 1.5 {
							t.Fatalf("quality %d, block at column %d row %d, pixel %d: %d, want %.1f", quality, left, top, i, p, want[i])
						}
					}
					lost += math.Abs(want[i] - block[i])
				}
			}
		}
		t.Logf("quality %d: %d blocks compared, each pixel off by %.1f on average", quality, compared, lost/float64(64*max(compared, 1)))
		if compared < 10 {
			t.Errorf("quality %d: only %d blocks can be compared", quality, compared)
		}
	}
}
