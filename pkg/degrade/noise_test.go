package degrade

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"rekindle/pkg/rgb"
)

// ranged are strengths that are drawn for each picture.
var ranged = Settings{
	NoiseSigma: 5, NoiseSigmaMax: 25, NoiseCorrelation: 0.3, NoiseCorrelationMax: 1.5, SensorGain: 0.1, SensorGainMax: 3, ReadNoise: 1, ReadNoiseMax: 10,
	JPEGQuality: 100,
}

// The level that is told ahead is the one that Apply uses, in pictures and in
// patches, and levels of a range are spread evenly over it.
func TestTheLevelIsToldAhead(t *testing.T) {
	for _, name := range []string{"gaussian", "correlated_gaussian", "poisson_gaussian"} {
		d := mustNew(t, name, ranged).(Noise)
		if mixed := mustNew(t, name+"_jpeg", ranged).(Noise); mixed.Level(Source(3, "a")) != d.Level(Source(3, "a")) {
			t.Errorf("%s has another level with JPEG", name)
		}
		var levels []float64
		for i := range 60 {
			file := fmt.Sprintf("%d.png", i)
			level := d.Level(Source(3, file))
			_, std := moments(d.Apply(flat(100, 100, 128), Source(3, file)), 1)
			// Neighbours share up to 28 values' worth of noise: the deviation is known to 1 part in sqrt(2*10000/28).
			if math.Abs(std-level) > 0.17*level+0.1 {
				t.Errorf("%s: deviation %.2f, and a level of %.2f was told", name, std, level)
			}
			levels = append(levels, level)
		}
		slices.Sort(levels)
		low, high := levels[0], levels[len(levels)-1]
		if name == "gaussian" && (low < 5 || low > 7 || high > 25 || high < 23 || math.Abs(levels[30]-15) > 4) {
			t.Errorf("levels from %.2f to %.2f, in the middle %.2f, are not spread from 5 to 25", low, high, levels[30])
		}
		fixed := mustNew(t, name, usual).(Noise)
		if a, b := fixed.Level(Source(1, "a")), fixed.Level(Source(1, "b")); a != b {
			t.Errorf("%s without a range: levels %v and %v", name, a, b)
		}
	}
}

func TestNoiseThatIsNotClipped(t *testing.T) {
	d := mustNew(t, "gaussian", Settings{NoiseSigma: 10, NoiseSigmaMax: 50, NoiseUnclipped: 0.25}).(Gaussian)
	spoiled, beyond, r := 0.0, 0, Source(1, "a")
	for range 2000 {
		planes := slices.Repeat([]float32{1}, 3*8*8) // white
		level, done := d.Spoil(planes, r)
		if !done {
			if level != 0 || planes[0] != 1 {
				t.Fatal("a patch that is left to Apply was changed")
			}
			continue
		}
		spoiled++
		squares := 0.0
		for _, v := range planes {
			squares += math.Pow((float64(v)-1)*127.5, 2) / float64(len(planes))
			if v > 1 {
				beyond++
			}
		}
		if level < 10 || level > 50 || math.Abs(math.Sqrt(squares)/level-1) > 0.25 {
			t.Fatalf("deviation %.1f, and a level of %.1f was told", math.Sqrt(squares), level)
		}
	}
	if share := spoiled / 2000; math.Abs(share-0.25) > 0.04 { // four standard errors
		t.Errorf("%.3f of the patches, want 0.25", share)
	}
	if share := float64(beyond) / (spoiled * 3 * 8 * 8); math.Abs(share-0.5) > 0.02 {
		t.Errorf("%.3f of white's values are beyond white, want a half", share)
	}
	if _, done := (Gaussian{Sigma: 10}).Spoil(make([]float32, 3), Source(1, "a")); done {
		t.Error("done without being asked for")
	}
}

// TestSensorsNoiseGrowsWithTheLight checks variance = gain*v + read^2 and that
// nothing is darker or lighter on average.
func TestSensorsNoiseGrowsWithTheLight(t *testing.T) {
	for _, p := range []PoissonGaussian{{Gain: 1, Read: 5}, {Gain: 4, Read: 2}, {Gain: 0.05, Read: 6}, {Read: 8}} {
		for _, v := range []uint8{60, 100, 150} {
			mean, std := moments(p.Apply(flat(300, 300, v), Source(1, "a")), 2)
			want := math.Sqrt(p.Gain*float64(v) + p.Read*p.Read + 1.0/12)
			if math.Abs(mean-float64(v)) > 5*want/300 || math.Abs(std-want) > 0.015*want {
				t.Errorf("%s at %d: mean %.2f, deviation %.2f, want %.2f", p.Name(), v, mean, std, want)
			}
		}
	}
}

// TestCorrelationFallsWithDistance checks exp(-d^2/(4*width^2)), the deviation,
// and both at the border of the picture.
func TestCorrelationFallsWithDistance(t *testing.T) {
	const w, h, sigma = 400, 300, 20.0
	for _, width := range []float64{0, 0.8, 2} {
		out := CorrelatedGaussian{Sigma: sigma, Width: width}.Apply(flat(w, h, 128), Source(1, "a"))
		at := func(x, y, c int) float64 { return float64(out.Pix[(y*w+x)*3+c]) - 128 }
		measure := func(dx, dy, dc int, inside func(x, y int) bool) float64 {
			sum, n := 0.0, 0.0
			for y := range h - dy {
				for x := range w - dx {
					if inside(x, y) {
						sum += at(x, y, 0) * at(x+dx, y+dy, dc)
						n++
					}
				}
			}
			return sum / n / (sigma * sigma)
		}
		all := func(x, y int) bool { return true }
		for d := 1; d <= 5; d++ {
			want := 0.0
			if width > 0 {
				want = math.Exp(-float64(d*d) / (4 * width * width))
			}
			// A Gaussian in steps of a pixel is not quite one where it is narrow.
			if across, down := measure(d, 0, 0, all), measure(0, d, 0, all); math.Abs(across-want) > 0.04 || math.Abs(down-want) > 0.04 {
				t.Errorf("width %v, %d pixels: correlations %.3f and %.3f, want %.3f", width, d, across, down, want)
			}
		}
		if other := measure(0, 0, 1, all); math.Abs(other) > 0.04 {
			t.Errorf("width %v: correlation %.3f with another channel", width, other)
		}
		edge := func(x, y int) bool { return x < 2 || y < 2 || x >= w-2 || y >= h-2 }
		if v, border := measure(0, 0, 0, all), measure(0, 0, 0, edge); math.Abs(v-1) > 0.05 || math.Abs(border-1) > 0.15 {
			t.Errorf("width %v: variance %.3f of the wanted one, and %.3f at the border", width, v, border)
		}
	}
}

func TestNoiseComesBeforeTheCompression(t *testing.T) {
	im := flat(64, 48, 128)
	noise := CorrelatedGaussian{Sigma: 5, Max: 40, Width: 1}
	got := NoisyJPEG{noise, JPEG{Quality: 20, Max: 80}}.Apply(im, Source(1, "a"))
	r := Source(1, "a")
	want := JPEG{Quality: 20, Max: 80}.Apply(noise.Apply(im, r), r)
	if !slices.Equal(got.Pix, want.Pix) {
		t.Error("it is not the JPEG of the noisy picture")
	}
}

func TestQualitiesOfARangeAreAllDrawn(t *testing.T) {
	im := rgb.New(32, 32)
	for i := range im.Pix {
		im.Pix[i] = uint8(i * 37)
	}
	seen := map[string]bool{}
	for i := range 60 {
		seen[string(JPEG{Quality: 10, Max: 14}.Apply(im, Source(int64(i), "a")).Pix)] = true
	}
	for q := 10; q <= 14; q++ {
		if !seen[string(JPEG{Quality: q}.Apply(im, nil).Pix)] {
			t.Errorf("quality %d was never drawn", q)
		}
	}
	if len(seen) != 5 {
		t.Errorf("%d different pictures of 5 qualities", len(seen))
	}
}
