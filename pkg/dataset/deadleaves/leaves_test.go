package deadleaves

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"rekindle/pkg/rgb"
)

func draw(w, h int, seed uint64) *rgb.Image { return Image(w, h, rand.New(rand.NewPCG(seed, 0))) }

// grey is the intensity (R+G+B)/3 of each pixel.
func grey(im *rgb.Image) []float64 {
	out := make([]float64, im.W*im.H)
	for i := range out {
		out[i] = (float64(im.Pix[3*i]) + float64(im.Pix[3*i+1]) + float64(im.Pix[3*i+2])) / 3
	}
	return out
}

func meanDeviation(values []float64) (mean, deviation float64) {
	for _, v := range values {
		mean += v
	}
	mean /= float64(len(values))
	for _, v := range values {
		deviation += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(deviation / float64(len(values)))
}

func TestTheSameNumbersGiveTheSamePicture(t *testing.T) {
	a := draw(97, 61, 1)
	if a.W != 97 || a.H != 61 || len(a.Pix) != 3*97*61 {
		t.Fatalf("the picture is %d x %d, want 97 x 61", a.W, a.H)
	}
	if !slices.Equal(a.Pix, draw(97, 61, 1).Pix) {
		t.Error("two pictures from the same numbers differ")
	}
	if slices.Equal(a.Pix, draw(97, 61, 2).Pix) {
		t.Error("two pictures from different numbers are equal")
	}
}

func TestAnySizeCanBeDrawn(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 200}, {200, 1}, {2, 3}, {17, 16}} {
		if im := draw(size[0], size[1], 3); im.W != size[0] || im.H != size[1] {
			t.Errorf("asked for %v, got %d x %d", size, im.W, im.H)
		}
	}
}

// sample is pictures for statistics; single ones differ as photographs do.
func sample(n int) (images []*rgb.Image) {
	for seed := range uint64(n) {
		images = append(images, draw(256, 256, 100+seed))
	}
	return images
}

// The spectrum of photographs falls as 1/f^2 to 1/f^3 in two dimensions (Field
// 1987; Ruderman & Bialek 1994), which is 1/f to 1/f^2 along a row.
func TestTheSpectrumFallsAsThatOfPhotographs(t *testing.T) {
	const n = 256
	power := make([]float64, n/2)
	for _, im := range sample(12) {
		g := grey(im)
		for y := 0; y < n; y += 4 {
			row := g[y*n : (y+1)*n]
			mean, _ := meanDeviation(row)
			for k := 4; k < 48; k++ {
				var re, im float64
				for x, v := range row {
					window := 0.5 - 0.5*math.Cos(2*math.Pi*float64(x)/n)
					s, c := math.Sincos(2 * math.Pi * float64(k*x) / n)
					re += (v - mean) * window * c
					im += (v - mean) * window * s
				}
				power[k] += re*re + im*im
			}
		}
	}
	// Slope of log power over log frequency by least squares.
	var sx, sy, sxx, sxy, m float64
	for k := 4; k < 48; k++ {
		x, y := math.Log(float64(k)), math.Log(power[k])
		sx, sy, sxx, sxy, m = sx+x, sy+y, sxx+x*x, sxy+x*y, m+1
	}
	slope := (m*sxy - sx*sy) / (m*sxx - sx*sx)
	if slope < -2.2 || slope > -1 {
		t.Errorf("the spectrum along rows falls as f^%.2f, want between f^-1 and f^-2.2", slope)
	}
}

// Differences between neighbours in photographs are mostly small and sometimes
// very large: their kurtosis is 10 and more, where a normal distribution has 3.
func TestMostNeighboursAreAlikeAndAFewVeryDifferent(t *testing.T) {
	for i, im := range sample(12) {
		g := grey(im)
		var m2, m4, n, small float64
		for y := range im.H {
			for x := range im.W - 1 {
				d := g[y*im.W+x+1] - g[y*im.W+x]
				m2 += d * d
				m4 += d * d * d * d
				n++
				if math.Abs(d) < 2 {
					small++
				}
			}
		}
		if kurtosis := m4 / n / (m2 / n * m2 / n); kurtosis < 5 {
			t.Errorf("picture %d: kurtosis of differences is %.1f, want at least 5", i, kurtosis)
		}
		if share := small / n; share < 0.2 || share > 0.9 {
			t.Errorf("picture %d: %.0f%% of neighbours are alike, want 20 to 90", i, 100*share)
		}
	}
}

func TestColoursVaryLikeThoseOfPhotographs(t *testing.T) {
	var intensity, warm, green, levels []float64
	var means []float64
	for _, im := range sample(16) {
		var i, w, g []float64
		for p := 0; p < len(im.Pix); p += 3 {
			r, gr, b := float64(im.Pix[p]), float64(im.Pix[p+1]), float64(im.Pix[p+2])
			i, w, g = append(i, (r+gr+b)/3), append(w, (r-b)/2), append(g, (2*gr-r-b)/4)
		}
		mean, di := meanDeviation(i)
		_, dw := meanDeviation(w)
		_, dg := meanDeviation(g)
		intensity, warm, green = append(intensity, di), append(warm, dw), append(green, dg)
		means, levels = append(means, mean), append(levels, i...)
	}
	average := func(v []float64) float64 { m, _ := meanDeviation(v); return m }
	i, w, g := average(intensity), average(warm), average(green)
	if !(i > 1.5*w && w > 1.5*g && g > 2) {
		t.Errorf("deviations are %.1f in intensity, %.1f warm against cold, %.1f green against purple; each should be well above the next", i, w, g)
	}
	if mean, spread := meanDeviation(means); mean < 80 || mean > 150 || spread < 10 {
		t.Errorf("pictures have mean intensities %.0f ± %.0f, want dark and bright ones around the middle", mean, spread)
	}
	slices.Sort(levels)
	if lo, hi := levels[len(levels)/50], levels[len(levels)*49/50]; lo > 30 || hi < 220 {
		t.Errorf("nearly all levels lie in %.0f..%.0f, want the whole range in use", lo, hi)
	}
}

func TestSizesFollowThePowerLaw(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	// With exponent 3 the number between ρ and 2ρ falls by 4 from octave to octave.
	counts := make([]float64, 5)
	const n = 200000
	for range n {
		x := powerLaw(r, 1, 32, 3)
		if x < 1 || x > 32 {
			t.Fatalf("drew %v, outside 1..32", x)
		}
		counts[min(int(math.Log2(x)), 4)]++
	}
	for octave := range counts {
		want := n * (math.Pow(4, -float64(octave)) * 0.75) / (1 - math.Pow(4, -5))
		if math.Abs(counts[octave]-want) > 5*math.Sqrt(want) {
			t.Errorf("octave %d has %.0f of %d, want about %.0f", octave, counts[octave], n, want)
		}
	}
}

func TestOutlinesAreNegativeInsideAndCountPixelsAtTheEdge(t *testing.T) {
	for name, c := range map[string]struct {
		distance func(u, v float64) float64
		edge     [2]float64 // a point on the edge and the direction outwards
		out      [2]float64
	}{
		"disk":      {disk(10), [2]float64{6, 8}, [2]float64{0.6, 0.8}},
		"ellipse":   {ellipse(20, 10), [2]float64{0, 10}, [2]float64{0, 1}},
		"rectangle": {box(12, 5), [2]float64{12, 2}, [2]float64{1, 0}},
	} {
		if d := c.distance(0, 0); d > -4 {
			t.Errorf("%s: the distance at the centre is %v, want well below 0", name, d)
		}
		for _, step := range []float64{-1, -0.5, 0, 0.5, 1} {
			if d := c.distance(c.edge[0]+step*c.out[0], c.edge[1]+step*c.out[1]); math.Abs(d-step) > 0.1 {
				t.Errorf("%s: %v pixels from the edge the distance is %.2f", name, step, d)
			}
		}
	}
}

func TestShapesStayWithinTheirReach(t *testing.T) {
	p := newPainter(newCanvas(100, 100), rand.New(rand.NewPCG(4, 4)))
	for range 300 {
		radius := between(p.r, 1, 60)
		s := p.shape(radius)
		for range 40 {
			angle, far := p.r.Float64()*2*math.Pi, s.reach*between(p.r, 1.02, 1.5)
			if d := s.distance(far*math.Cos(angle), far*math.Sin(angle)); d < 0 {
				t.Fatalf("a shape of radius %.1f and reach %.1f covers a point %.1f away", radius, s.reach, far)
			}
		}
	}
}

func TestEdgesAreSmooth(t *testing.T) {
	c := newCanvas(40, 40)
	p := newPainter(c, rand.New(rand.NewPCG(1, 1)))
	levels := map[float32]bool{}
	s := shape{x: 20.3, y: 19.8, radius: 12, reach: 12, distance: disk(12)}
	p.each(s, 1, 0, 0, func(pix *colour, _, _, d float64) { pix[0] = float32(min(max(0.5-d, 0), 1)) })
	for _, pix := range c.pix {
		levels[pix[0]] = true
	}
	if len(levels) < 20 {
		t.Errorf("a disk has %d levels of cover, want many between 0 and 1 along its edge", len(levels))
	}
	if c.pix[20*40+20][0] != 1 || c.pix[0][0] != 0 {
		t.Error("inside should be covered and outside not")
	}
}

func TestNoiseTilesRepeatSeamlesslyWithMeanZeroAndDeviationOne(t *testing.T) {
	tile := newTile(rand.New(rand.NewPCG(1, 1)), 0.7)
	var values []float64
	for _, v := range tile {
		values = append(values, float64(v))
	}
	if mean, deviation := meanDeviation(values); math.Abs(mean) > 1e-3 || math.Abs(deviation-1) > 1e-3 {
		t.Errorf("mean %.4f and deviation %.4f, want 0 and 1", mean, deviation)
	}
	for _, at := range [][2]float64{{3.25, 7.5}, {-0.5, 127.75}, {-300.125, 900.5}} {
		a, b := tile.at(at[0], at[1]), tile.at(at[0]+tileSize, at[1]-3*tileSize)
		if math.Abs(a-b) > 1e-6 {
			t.Errorf("at %v the tile is %v, a period away %v", at, a, b)
		}
	}
}

func TestBlurKeepsFlatPicturesAndTheMeanLevel(t *testing.T) {
	c := newCanvas(9, 7)
	c.fill(colour{10, 20, 30})
	c.blur(0.8)
	for _, p := range c.pix {
		for k, want := range []float32{10, 20, 30} {
			if math.Abs(float64(p[k]-want)) > 1e-4 {
				t.Fatalf("a flat picture became %v", p)
			}
		}
	}
	c.fill(colour{})
	c.pix[3*9+4] = colour{100, 100, 100}
	c.blur(0.8)
	var sum float32
	for _, p := range c.pix {
		sum += p[0]
	}
	if math.Abs(float64(sum-100)) > 1e-3 || c.pix[3*9+4][0] > 50 || c.pix[3*9+5][0] != c.pix[3*9+3][0] {
		t.Errorf("a point of 100 became a spot of %v with centre %v", sum, c.pix[3*9+4][0])
	}
}

func TestColoursStayWithinEightBits(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 10000 {
		i, w, g := between(r, -50, 300), between(r, -150, 150), between(r, -80, 80)
		c := inGamut(i, w, g)
		for _, v := range c {
			if v < -0.01 || v > 255.01 {
				t.Fatalf("intensity %.0f, warm %.0f, green %.0f gives %v", i, w, g, c)
			}
		}
	}
	if c := inGamut(128, 20, 5); math.Abs(float64((c[0]-c[2])/2-20)) > 1e-3 || math.Abs(float64((2*c[1]-c[0]-c[2])/4-5)) > 1e-3 || math.Abs(float64((c[0]+c[1]+c[2])/3-128)) > 1e-3 {
		t.Errorf("a colour that needs no change was changed to %v", c)
	}
}

func BenchmarkImage384(b *testing.B) {
	for i := 0; b.Loop(); i++ {
		draw(384, 384, uint64(i))
	}
}

func ExampleImage() {
	r := rand.New(rand.NewPCG(1, 2))
	im := Image(64, 48, r)
	fmt.Println(im.W, im.H)
	// Output: 64 48
}
