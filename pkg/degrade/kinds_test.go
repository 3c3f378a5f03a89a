package degrade

import (
	"bytes"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/rgb"
)

var usual = Settings{
	NoiseSigma: 25, NoiseCorrelation: 1, SensorGain: 1, ReadNoise: 5, SaltPepperDensity: 0.05, SaltRatio: 0.5, QuantizationBits: 2, BlurSigma: 2,
	MotionLength: 15, JPEGQuality: 10, LightFactor: 10,
}

func mustNew(t testing.TB, name string, s Settings) Degradation {
	t.Helper()
	d, err := New(name, s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEveryKindIsReproducibleAndLeavesThePictureAlone(t *testing.T) {
	im := deadleaves.Image(40, 30, rand.New(rand.NewPCG(1, 2)))
	before := slices.Clone(im.Pix)
	for _, name := range Names() {
		d := mustNew(t, name, usual)
		a, b := d.Apply(im, Source(1, "x.png")), d.Apply(im, Source(1, "y/x.jpg"))
		if !slices.Equal(a.Pix, b.Pix) {
			t.Errorf("%s: the same seed and name give other pictures", name)
		}
		if slices.Equal(a.Pix, im.Pix) || a.W != 40 || a.H != 30 {
			t.Errorf("%s: %d x %d, or nothing was done", name, a.W, a.H)
		}
		_, noise := d.(Noise)
		random := noise || name == "salt_pepper" || name == "dithering/random" || name == "low_light"
		if other := d.Apply(im, Source(2, "x.png")); slices.Equal(a.Pix, other.Pix) == random {
			t.Errorf("%s: another seed: chance %v", name, random)
		}
		if !slices.Equal(im.Pix, before) {
			t.Fatalf("%s changed the clean picture", name)
		}
	}
}

func TestFoldersAreNamedByParameters(t *testing.T) {
	for name, want := range map[string]string{
		"gaussian": "gaussian/sigma_25", "salt_pepper": "salt_pepper/density_0.05", "quantization": "quantization/2bit",
		"dithering/random": "dithering/random/2bit", "dithering/floyd_steinberg": "dithering/floyd_steinberg/2bit",
		"dithering/bayer": "dithering/bayer/2bit", "blur": "blur/sigma_2", "motion_blur": "motion_blur/length_15",
		"jpeg": "jpeg/quality_10", "low_light": "low_light/factor_10", "correlated_gaussian": "correlated_gaussian/sigma_25_width_1",
		"poisson_gaussian": "poisson_gaussian/gain_1_read_5", "gaussian_jpeg": "gaussian_jpeg/sigma_25_quality_10",
		"correlated_gaussian_jpeg": "correlated_gaussian_jpeg/sigma_25_width_1_quality_10", "poisson_gaussian_jpeg": "poisson_gaussian_jpeg/gain_1_read_5_quality_10",
	} {
		if got := mustNew(t, name, usual).Name(); got != want {
			t.Errorf("%s is called %q, want %q", name, got, want)
		}
	}
	s := usual
	s.SaltRatio, s.MotionAngle = 0.8, 30
	if got := mustNew(t, "salt_pepper", s).Name(); got != "salt_pepper/density_0.05_salt_0.8" {
		t.Error(got)
	}
	if got := mustNew(t, "motion_blur", s).Name(); got != "motion_blur/length_15_angle_30" {
		t.Error(got)
	}
	s.NoiseSigmaMax, s.NoiseCorrelationMax, s.SensorGainMax, s.ReadNoiseMax, s.JPEGQualityMax = 55, 2.5, 4, 10, 95
	for name, want := range map[string]string{
		"gaussian": "gaussian/sigma_25-55", "jpeg": "jpeg/quality_10-95", "poisson_gaussian": "poisson_gaussian/gain_1-4_read_5-10",
		"correlated_gaussian_jpeg": "correlated_gaussian_jpeg/sigma_25-55_width_1-2.5_quality_10-95",
	} {
		if got := mustNew(t, name, s).Name(); got != want {
			t.Errorf("%s is called %q, want %q", name, got, want)
		}
	}
}

// Copies of another strength must not pass for those that are wanted: names of
// folders and of recipes are made of the Name.
func TestWhatChangesAPictureChangesTheName(t *testing.T) {
	im := deadleaves.Image(40, 30, rand.New(rand.NewPCG(1, 2)))
	fields := reflect.TypeFor[Settings]()
	for _, name := range Names() {
		before := mustNew(t, name, usual)
		for i := range fields.NumField() {
			s := usual
			if v := reflect.ValueOf(&s).Elem().Field(i); v.CanInt() {
				v.SetInt(v.Int() + 60)
			} else {
				v.SetFloat(v.Float() + 60)
			}
			after, err := New(name, s)
			if err != nil {
				s = usual
				if v := reflect.ValueOf(&s).Elem().Field(i); v.CanInt() {
					v.SetInt(v.Int() + 1)
				} else {
					v.SetFloat(v.Float() + 0.5)
				}
				after = mustNew(t, name, s)
			}
			same := slices.Equal(before.Apply(im, Source(1, "a")).Pix, after.Apply(im, Source(1, "a")).Pix)
			if !same && before.Name() == after.Name() {
				t.Errorf("%s: another %s gives another picture of the same name, %s", name, fields.Field(i).Name, after.Name())
			}
		}
	}
}

func TestSettingsOutOfRangeAreRefusedByKey(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Settings)
		says   string
	}{
		{"gaussian", func(s *Settings) { s.NoiseSigma = -1 }, "NoiseSigma is -1; it must be a number of at least 0"},
		{"gaussian", func(s *Settings) { s.NoiseSigmaMax = math.Inf(1) }, "NoiseSigmaMax is +Inf"},
		{"gaussian", func(s *Settings) { s.NoiseSigmaMax = 24 }, "NoiseSigmaMax is 24, below NoiseSigma (25)"},
		{"gaussian", func(s *Settings) { s.NoiseUnclipped = 1.5 }, "NoiseUnclipped is 1.5"},
		{"gaussian_jpeg", func(s *Settings) { s.JPEGQuality = 101 }, "JPEGQuality is 101"},
		{"correlated_gaussian", func(s *Settings) { s.NoiseCorrelation = math.NaN() }, "NoiseCorrelation is NaN"},
		{"correlated_gaussian", func(s *Settings) { s.NoiseSigmaMax = 1 }, "NoiseSigmaMax is 1, below"},
		{"poisson_gaussian", func(s *Settings) { s.SensorGain = 256 }, "SensorGain is 256; it must be 0 to 255"},
		{"poisson_gaussian_jpeg", func(s *Settings) { s.ReadNoiseMax = 1 }, "ReadNoiseMax is 1, below ReadNoise (5)"},
		{"salt_pepper", func(s *Settings) { s.SaltPepperDensity = 5 }, "SaltPepperDensity"},
		{"quantization", func(s *Settings) { s.QuantizationBits = 9 }, "QuantizationBits"},
		{"dithering/bayer", func(s *Settings) { s.QuantizationBits = 0 }, "QuantizationBits"},
		{"blur", func(s *Settings) { s.BlurSigma = math.NaN() }, "BlurSigma"},
		{"motion_blur", func(s *Settings) { s.MotionLength = 0 }, "MotionLength"},
		{"jpeg", func(s *Settings) { s.JPEGQuality = 0 }, "JPEGQuality"},
		{"jpeg", func(s *Settings) { s.JPEGQualityMax = 5 }, "JPEGQualityMax is 5, below JPEGQuality (10)"},
		{"low_light", func(s *Settings) { s.LightFactor = 0.5 }, "LightFactor"},
	} {
		s := usual
		c.change(&s)
		if _, err := New(c.name, s); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want it to say %q", c.name, err, c.says)
		}
	}
}

func TestSaltAndPepperInTheirShares(t *testing.T) {
	out := SaltPepper{Density: 0.2, SaltRatio: 0.75}.Apply(flat(300, 300, 128), Source(1, "a"))
	var salt, pepper float64
	for _, v := range out.Pix {
		switch v {
		case 255:
			salt++
		case 0:
			pepper++
		case 128:
		default:
			t.Fatalf("a value became %d", v)
		}
	}
	n := float64(len(out.Pix)) // standard deviation of the share: sqrt(0.2*0.8/n) = 0.0008
	if share := (salt + pepper) / n; math.Abs(share-0.2) > 0.004 {
		t.Errorf("%.4f of the values were replaced, want 0.2", share)
	}
	if ratio := salt / (salt + pepper); math.Abs(ratio-0.75) > 0.01 {
		t.Errorf("%.4f of them are salt, want 0.75", ratio)
	}
}

func TestQuantizationLeavesEvenlySpacedLevels(t *testing.T) {
	ramp := rgb.New(256, 16)
	for i := range ramp.Pix {
		ramp.Pix[i] = uint8(i / 3 % 256)
	}
	for bits := 1; bits <= 8; bits++ {
		for d := range ditherings {
			q := Quantize{bits, Dithering(d)}
			seen := map[uint8]bool{}
			for _, v := range q.Apply(ramp, Source(1, "a")).Pix {
				seen[v] = true
			}
			if len(seen) != 1<<bits || !seen[0] || !seen[255] {
				t.Errorf("%s: %d levels, want %d with 0 and 255", q.Name(), len(seen), 1<<bits)
			}
			for v := range seen {
				k := math.Round(float64(v) * float64(int(1)<<bits-1) / 255)
				if want := k * 255 / float64(int(1)<<bits-1); math.Abs(want-float64(v)) > 0.5 {
					t.Errorf("%s: level %d is not one of the evenly spaced ones", q.Name(), v)
				}
			}
		}
	}
	// Without dithering each value goes to the nearest level.
	for i, v := range (Quantize{2, None}).Apply(ramp, nil).Pix {
		if off := math.Abs(float64(v) - float64(ramp.Pix[i])); off > 43 {
			t.Fatalf("%d became %d", ramp.Pix[i], v)
		}
	}
}

func TestDitheringKeepsTheMean(t *testing.T) {
	for d, name := range ditherings {
		if Dithering(d) == None {
			continue
		}
		for _, v := range []uint8{10, 64, 100, 128, 200, 250} {
			out := Quantize{2, Dithering(d)}.Apply(flat(128, 128, v), Source(1, "a"))
			sum := 0.0
			for _, x := range out.Pix {
				sum += float64(x)
			}
			// Random: 85/2 / sqrt(49152) = 0.2; Floyd-Steinberg loses errors at the border.
			if mean := sum / float64(len(out.Pix)); math.Abs(mean-float64(v)) > 1 {
				t.Errorf("%s: a grey of %d is %.2f on average", name, v, mean)
			}
		}
	}
}

// TestBayersPattern is the matrix as printed in books.
func TestBayersPattern(t *testing.T) {
	for y, row := range [][]float64{{0, 32, 8, 40, 2, 34, 10, 42}, {48, 16, 56, 24, 50, 18, 58, 26}} {
		for x, want := range row {
			if got := (bayer(x, y)+0.5)*64 - 0.5; math.Abs(got-want) > 1e-9 {
				t.Errorf("row %d column %d is %v, want %v", y, x, got, want)
			}
		}
	}
	sum := 0.0
	for i := range 64 {
		sum += bayer(i%8, i/8)
	}
	if math.Abs(sum) > 1e-9 {
		t.Errorf("the thresholds' sum is %v", sum)
	}
}

// TestFloydAndSteinbergByHand follows a row of three grey pixels at one bit.
func TestFloydAndSteinbergByHand(t *testing.T) {
	im := flat(3, 2, 100)
	// Row 0: 100 -> 0, error 100; 100+43.75 -> 255, error -111.25; 100-48.67 -> 0, error 51.33.
	// Row 1: 100 + 5/16*100 + 3/16*-111.25 = 110.39 -> 0, and so on.
	got := Quantize{1, FloydSteinberg}.Apply(im, nil)
	for i, want := range []uint8{0, 255, 0, 0} {
		if got.Pix[3*i] != want {
			t.Errorf("pixel %d is %d, want %d", i, got.Pix[3*i], want)
		}
	}
}

// TestErrorDiffusionAsAFormula collects for each value what its neighbours lost,
// where the code hands it on: e = x - q(x), x = v + (7 e(left) + 1 e(upper left)
// + 5 e(above) + 3 e(upper right)) / 16.
func TestErrorDiffusionAsAFormula(t *testing.T) {
	im := deadleaves.Image(23, 17, rand.New(rand.NewPCG(8, 9)))
	for bits := 1; bits <= 8; bits++ {
		got := Quantize{bits, FloydSteinberg}.Apply(im, nil)
		lost := map[[3]int]float64{}
		for y := range im.H {
			for x := range im.W {
				for c := range 3 {
					e := func(dx, dy int) float64 { return lost[[3]int{x + dx, y + dy, c}] }
					v := float64(im.Pix[(y*im.W+x)*3+c]) + (7*e(-1, 0)+e(-1, -1)+5*e(0, -1)+3*e(1, -1))/16
					out := got.Pix[(y*im.W+x)*3+c]
					lost[[3]int{x, y, c}] = v - float64(out)
					step := 255 / float64(int(1)<<bits-1)
					if far := math.Abs(v - float64(out)); v >= 0 && v <= 255 && far > step/2+0.5+1e-9 {
						t.Fatalf("%d bits, column %d row %d: %.2f became %d, which is not the nearest level", bits, x, y, v, out)
					}
				}
			}
		}
	}
}

func TestBlurIsTheConvolutionWithAGaussian(t *testing.T) {
	im := deadleaves.Image(24, 18, rand.New(rand.NewPCG(3, 4)))
	const sigma = 1.5
	got := Blur{sigma}.Apply(im, nil)
	mirror := func(i, n int) int {
		for i < 0 || i >= n {
			if i < 0 {
				i = -1 - i
			} else {
				i = 2*n - 1 - i
			}
		}
		return i
	}
	for y := range im.H {
		for x := range im.W {
			for c := range 3 {
				var sum, total float64 // in two dimensions, directly
				for dy := -6; dy <= 6; dy++ {
					for dx := -6; dx <= 6; dx++ {
						w := math.Exp(-float64(dx*dx+dy*dy) / (2 * sigma * sigma))
						total += w
						sum += w * float64(im.Pix[(mirror(y+dy, im.H)*im.W+mirror(x+dx, im.W))*3+c])
					}
				}
				if want := sum / total; math.Abs(want-float64(got.Pix[(y*im.W+x)*3+c])) > 0.5+1e-9 {
					t.Fatalf("column %d row %d: %d, want %.2f", x, y, got.Pix[(y*im.W+x)*3+c], want)
				}
			}
		}
	}
	if same := (Blur{0}).Apply(im, nil); !slices.Equal(same.Pix, im.Pix) {
		t.Error("a blur of 0 changes the picture")
	}
}

func TestMotionBlurIsTheMeanAlongALine(t *testing.T) {
	for _, m := range []MotionBlur{{15, 0}, {15, 90}, {9, 30}, {1, 45}, {40, -120}} {
		sum, x, y, along := 0.0, 0.0, 0.0, 0.0
		sin, cos := math.Sincos(m.Angle * math.Pi / 180)
		for _, p := range m.taps() {
			sum += p.weight
			x, y = x+p.weight*float64(p.x), y+p.weight*float64(p.y)
			along += p.weight * math.Pow(float64(p.x)*cos-float64(p.y)*sin, 2)
			if across := math.Abs(float64(p.x)*sin + float64(p.y)*cos); across > math.Sqrt2 {
				t.Errorf("%+v: a weight %.2f pixels off the line", m, across)
			}
		}
		if math.Abs(sum-1) > 1e-9 || math.Abs(x) > 1e-9 || math.Abs(y) > 1e-9 {
			t.Errorf("%+v: the weights' sum is %v, their centre (%v, %v)", m, sum, x, y)
		}
		// The variance of a line of length L is L^2/12; sharing points out to pixels adds at most 1/4 each way.
		if want := float64(m.Length*m.Length) / 12; m.Length > 1 && (along < want*0.98 || along > want+0.5) {
			t.Errorf("%+v: variance along the line %v, want about %v", m, along, want)
		}
	}
	// A white pixel becomes a streak as long as the motion, to the right and up for 45 degrees.
	im := rgb.New(41, 41)
	for c := range 3 {
		im.Pix[(20*41+20)*3+c] = 255
	}
	out := MotionBlur{21, 45}.Apply(im, nil)
	if out.Pix[(14*41+26)*3] == 0 || out.Pix[(26*41+14)*3] == 0 || out.Pix[(26*41+26)*3] != 0 {
		t.Error("the streak does not go up to the right")
	}
}

func TestJPEGIsWhatADecoderReads(t *testing.T) {
	im := deadleaves.Image(48, 32, rand.New(rand.NewPCG(5, 6)))
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im.ToImage(), &jpeg.Options{Quality: 10}); err != nil {
		t.Fatal(err)
	}
	want, err := jpeg.Decode(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	got := JPEG{Quality: 10}.Apply(im, nil)
	for y := range im.H {
		for x := range im.W {
			r, g, bl, _ := want.At(x, y).RGBA()
			if p := got.Pix[(y*im.W+x)*3:]; abs(int(p[0])-int(r>>8)) > 1 || abs(int(p[1])-int(g>>8)) > 1 || abs(int(p[2])-int(bl>>8)) > 1 {
				t.Fatalf("column %d row %d: %v, want %d %d %d", x, y, p[:3], r>>8, g>>8, bl>>8)
			}
		}
	}
	off := func(quality int) (sum float64) {
		for i, v := range (JPEG{Quality: quality}).Apply(im, nil).Pix {
			sum += math.Pow(float64(v)-float64(im.Pix[i]), 2)
		}
		return sum
	}
	if !(off(5) > off(40) && off(40) > off(95)) {
		t.Error("a lower quality is not worse")
	}
}

// A picture too large for one JPEG has no seam where its parts meet.
func TestJPEGOfAPanorama(t *testing.T) {
	im := rgb.New(largest+100, 20)
	for i := range im.Pix {
		im.Pix[i] = uint8(i * i / 50)
	}
	got := JPEG{Quality: 10}.Apply(im, nil)
	if got.W != im.W || got.H != im.H {
		t.Fatalf("%d x %d pixels became %d x %d", im.W, im.H, got.W, got.H)
	}
	around := JPEG{Quality: 10}.Apply(im.Crop(largest-160, 0, 260, 20), nil)
	if seam := got.Crop(largest-160, 0, 260, 20); !slices.Equal(seam.Pix, around.Pix) {
		t.Error("the parts can be told apart")
	}
}

func abs(v int) int { return max(v, -v) }

// TestLowLightCountsElectrons checks the light that comes back from a grey area:
// its mean is a tenth, its variance that of Poisson counts and reading noise.
func TestLowLightCountsElectrons(t *testing.T) {
	const factor = 10
	for _, v := range []uint8{90, 180, 255} {
		out := LowLight{factor}.Apply(flat(200, 200, v), Source(1, "a"))
		light := math.Pow(float64(v)/255, 2.2) * 4000 / factor // electrons
		var sum, squares float64
		for _, x := range out.Pix {
			e := math.Pow(float64(x)/255, 2.2) * 4000
			sum, squares = sum+e, squares+e*e
		}
		n := float64(len(out.Pix))
		mean := sum / n
		variance := squares/n - mean*mean
		if math.Abs(mean-light) > 0.02*light+0.5 {
			t.Errorf("grey %d: %.1f electrons on average, want %.1f", v, mean, light)
		}
		// 8 bits add the variance of rounding, a step of 4000*2.2/255*(x)^(1.2/2.2), over 12.
		step := 4000 * 2.2 / 255 * math.Pow(light/4000, 1.2/2.2)
		if want := light + 16 + step*step/12; math.Abs(variance-want) > 0.08*want {
			t.Errorf("grey %d: variance %.1f, want %.1f", v, variance, want)
		}
	}
}

func TestPoissonCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, mean := range []float64{0, 0.3, 5, 49, 51, 400} {
		const n = 40000
		var sum, squares float64
		for range n {
			k := poisson(mean, r)
			if k < 0 || k != math.Floor(k) {
				t.Fatalf("a count of %v", k)
			}
			sum, squares = sum+k, squares+k*k
		}
		m := sum / n
		if v := squares/n - m*m; math.Abs(m-mean) > 5*math.Sqrt(mean/n)+1e-12 || math.Abs(v-mean) > 0.06*mean+1e-12 {
			t.Errorf("mean %v: %v, variance %v", mean, m, v)
		}
	}
}
