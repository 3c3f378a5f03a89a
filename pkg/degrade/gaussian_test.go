package degrade

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/rgb"
)

func flat(w, h int, v uint8) *rgb.Image {
	im := rgb.New(w, h)
	for i := range im.Pix {
		im.Pix[i] = v
	}
	return im
}

// moments returns mean and standard deviation of the channel's values.
func moments(im *rgb.Image, channel int) (mean, std float64) {
	n := float64(im.W * im.H)
	var sum, squares float64
	for i := channel; i < len(im.Pix); i += 3 {
		v := float64(im.Pix[i])
		sum += v
		squares += v * v
	}
	mean = sum / n
	return mean, math.Sqrt(squares/n - mean*mean)
}

func TestNoiseHasTheAskedStrengthAndNoBiasWhereNothingIsClipped(t *testing.T) {
	for _, sigma := range []float64{2, 10, 25} {
		const w, h = 400, 300
		out := Gaussian{Sigma: sigma}.Apply(flat(w, h, 128), Source(1, "a.png"))
		for c := range 3 {
			mean, std := moments(out, c)
			// Four standard errors of mean and deviation of 120,000 values; rounding adds a variance of 1/12.
			want := math.Sqrt(sigma*sigma + 1.0/12)
			tolerance := 4 * want / math.Sqrt(w*h)
			if math.Abs(mean-128) > tolerance {
				t.Errorf("sigma %v channel %d: mean %.3f, want 128 within %.3f (truncation instead of rounding would give 127.5)", sigma, c, mean, tolerance)
			}
			if math.Abs(std-want) > tolerance {
				t.Errorf("sigma %v channel %d: deviation %.3f, want %.3f within %.3f", sigma, c, std, want, tolerance)
			}
		}
	}
}

func TestClippingBiasIsTheDocumentedOne(t *testing.T) {
	g := Gaussian{Sigma: 100}
	for _, v := range []uint8{0, 40, 128, 200, 255} {
		out := g.Apply(flat(400, 400, v), Source(1, "a.png"))
		mean, _ := moments(out, 1)
		if want := g.Mean(v); math.Abs(mean-want) > 1 {
			t.Errorf("level %d: mean %.2f, Mean says %.2f", v, mean, want)
		}
	}
	if got := g.Mean(0); math.Abs(got-40) > 1 {
		t.Errorf("black becomes %.1f on average, the documentation says 40", got)
	}
	if got := g.Mean(255); math.Abs(got-215) > 1 {
		t.Errorf("white becomes %.1f on average, the documentation says 215", got)
	}
	if got := (Gaussian{}).Mean(77); got != 77 {
		t.Errorf("without noise 77 becomes %v", got)
	}
}

func TestNoiseIsIndependentBetweenPixelsAndChannels(t *testing.T) {
	out := Gaussian{Sigma: 20}.Apply(flat(300, 300, 128), Source(5, "a.png"))
	for name, step := range map[string]int{"next channel": 1, "next pixel": 3, "next row": 900} {
		var sum, n float64
		for i := 0; i+step < len(out.Pix); i++ {
			sum += (float64(out.Pix[i]) - 128) * (float64(out.Pix[i+step]) - 128)
			n++
		}
		if r := sum / n / 400; math.Abs(r) > 4/math.Sqrt(n) {
			t.Errorf("correlation with the %s is %.4f, want 0 within %.4f", name, r, 4/math.Sqrt(n))
		}
	}
}

func TestEveryRowColumnAndChannelGetsNoise(t *testing.T) {
	out := Gaussian{Sigma: 50}.Apply(flat(64, 48, 128), Source(5, "a.png"))
	for y := range 48 {
		for c := range 3 {
			seen := map[uint8]bool{}
			for x := range 64 {
				seen[out.Pix[(y*64+x)*3+c]] = true
			}
			if len(seen) < 20 {
				t.Errorf("row %d channel %d has only %d different values", y, c, len(seen))
			}
		}
	}
}

func TestTheSameSeedAndNameGiveTheSameNoiseAndOthersDoNot(t *testing.T) {
	apply := func(seed int64, name string) []uint8 {
		return Gaussian{Sigma: 25}.Apply(flat(16, 16, 128), Source(seed, name)).Pix
	}
	base := apply(1, "0801.png")
	if !slices.Equal(base, apply(1, "some/folder/0801.jpg")) {
		t.Error("folder or ending changed the noise")
	}
	if slices.Equal(base, apply(2, "0801.png")) {
		t.Error("another seed gave the same noise")
	}
	if slices.Equal(base, apply(1, "0802.png")) {
		t.Error("another name gave the same noise")
	}
}

func TestApplyLeavesTheCleanPictureAlone(t *testing.T) {
	im := flat(8, 8, 100)
	Gaussian{Sigma: 100}.Apply(im, Source(1, "a"))
	if !slices.Equal(im.Pix, flat(8, 8, 100).Pix) {
		t.Error("the clean picture was changed")
	}
}

func TestNewFindsDegradationsByNameAndRefusesNonsense(t *testing.T) {
	for sigma, want := range map[float64]string{100: "gaussian/sigma_100", 12.5: "gaussian/sigma_12.5", 0: "gaussian/sigma_0"} {
		d, err := New("gaussian", Settings{NoiseSigma: sigma})
		if err != nil {
			t.Fatal(err)
		}
		if d.Name() != want {
			t.Errorf("sigma %v is called %q, want %q", sigma, d.Name(), want)
		}
	}
	if _, err := New("gausian", Settings{NoiseSigma: 1}); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "gaussian") {
		t.Errorf("an unknown name gives %v, want ErrUnknown with the known names", err)
	}
	for _, sigma := range []float64{-1, math.NaN(), math.Inf(1)} {
		if _, err := New("gaussian", Settings{NoiseSigma: sigma}); err == nil {
			t.Errorf("sigma %v was accepted", sigma)
		}
	}
}

func BenchmarkGaussianTwoMegapixels(b *testing.B) {
	im := flat(2040, 1356, 128)
	r := Source(1, "a")
	b.SetBytes(int64(len(im.Pix)))
	for b.Loop() {
		Gaussian{Sigma: 100}.Apply(im, r)
	}
}
