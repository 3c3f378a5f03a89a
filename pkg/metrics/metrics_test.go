package metrics

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"rekindle/pkg/internal/reference"
	"rekindle/pkg/rgb"
)

// decibels is a number or "inf", which is the best here.
type decibels float64

func (d *decibels) UnmarshalJSON(raw []byte) error {
	if string(raw) == `"inf"` {
		*d = BestPSNR
		return nil
	}
	return json.Unmarshal(raw, (*float64)(d))
}

type pair struct {
	name     string
	Shape    []int
	SSIM     float64   `json:"loss_ssim_float64"`
	PerImage []float64 `json:"loss_ssim_per_image"`
	Box      float64   `json:"eval_ssim_float64"`
	PSNR     decibels  `json:"psnr_float64"`
	MAE      float64   `json:"mae_float64"`
	MSE      float64   `json:"mse_float64"`
	a, b     []float64
}

func pairs(t testing.TB) (list []pair) {
	t.Helper()
	var all map[string]pair
	reference.JSON(t, "losses_metrics.json", &all)
	tensors := reference.Load(t, "losses_metrics.safetensors")
	for name, p := range all {
		spread := func(values []float64) []float64 {
			out := make([]float64, p.Shape[0]*p.Shape[1]*p.Shape[2]*p.Shape[3])
			for i := range out {
				out[i] = values[i%len(values)]
			}
			return out
		}
		p.name, p.a, p.b = name, spread(tensors[name+".a"].Data), spread(tensors[name+".b"].Data)
		list = append(list, p)
	}
	if len(list) < 12 {
		t.Fatalf("the reference has %d pairs, want at least 12", len(list))
	}
	return list
}

// differs says whether two numbers are further apart than the last digits of a
// float64 sum; both infinite is equal.
func differs(got, want float64) bool {
	return got != want && !(math.Abs(got-want) <= 1e-11*math.Max(1, math.Abs(want)))
}

func TestScoresArePyTorchs(t *testing.T) {
	for _, p := range pairs(t) {
		h, w := p.Shape[2], p.Shape[3]
		for what, f := range map[string]struct {
			got  func() (float64, error)
			want float64
		}{
			"SSIM":    {func() (float64, error) { return SSIM(p.a, p.b, h, w) }, p.SSIM},
			"BoxSSIM": {func() (float64, error) { return BoxSSIM(p.a, p.b, h, w) }, p.Box},
			"PSNR":    {func() (float64, error) { return PSNR(p.a, p.b) }, float64(p.PSNR)},
			"MAE":     {func() (float64, error) { return MAE(p.a, p.b) }, p.MAE},
			"MSE":     {func() (float64, error) { return MSE(p.a, p.b) }, p.MSE},
		} {
			got, err := f.got()
			if err != nil || differs(got, f.want) {
				t.Errorf("%s: %s is %.15g (%v), want %.15g", p.name, what, got, err, f.want)
			}
		}
		// One picture of the batch alone, in float32.
		size := 3 * h * w
		for i, want := range p.PerImage {
			got, err := SSIM(narrow(p.a[i*size:(i+1)*size]), narrow(p.b[i*size:(i+1)*size]), h, w)
			// The reference per picture is float32, which loses up to 1.2e-4 on constants.
			if err != nil || math.Abs(got-want) > 3e-4 {
				t.Errorf("%s: picture %d: SSIM is %.8g (%v), want %.8g", p.name, i, got, err, want)
			}
		}
	}
}

func narrow(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

// A window or border that is slightly wrong must not pass.
func TestTheComparisonSeesMistakes(t *testing.T) {
	wide := func(sigma float64, taps int) (k window) {
		total := 0.0
		for i := range taps {
			d := float64(i - taps/2)
			k.weights = append(k.weights, math.Exp(-d*d/(2*sigma*sigma)))
			total += k.weights[i]
		}
		for i := range k.weights {
			k.weights[i] /= total
		}
		return k
	}
	padded := func(k window) window { k.padded = true; return k }
	unpadded := func(k window) window { k.padded = false; return k }
	worst := func(k window, want func(pair) float64) (off float64) {
		for _, p := range pairs(t) {
			got, err := similarity(p.a, p.b, p.Shape[2], p.Shape[3], k)
			if err != nil {
				t.Fatal(err)
			}
			off = math.Max(off, math.Abs(got-want(p)))
		}
		return off
	}
	for name, k := range map[string]window{
		"standard deviation 1.4": wide(1.4, 11), "standard deviation 1.6": wide(1.6, 11), "9 taps": wide(1.5, 9), "13 taps": wide(1.5, 13),
		"a box": unpadded(box), "padding": padded(gaussian),
	} {
		if off := worst(k, func(p pair) float64 { return p.SSIM }); off < 1e-4 {
			t.Errorf("SSIM with %s nearly passes: differs by only %.3g", name, off)
		}
	}
	nine := window{make([]float64, 9), true}
	for i := range nine.weights {
		nine.weights[i] = 1. / 9
	}
	for name, k := range map[string]window{"no padding": unpadded(box), "a box of 9": nine, "a Gaussian": padded(gaussian)} {
		if off := worst(k, func(p pair) float64 { return p.Box }); off < 1e-4 {
			t.Errorf("BoxSSIM with %s nearly passes: differs by only %.3g", name, off)
		}
	}
}

func noise(w, h int, seed uint64) *rgb.Image {
	r := rand.New(rand.NewPCG(seed, 0))
	im := rgb.New(w, h)
	for i := range im.Pix {
		im.Pix[i] = uint8(r.IntN(256))
	}
	return im
}

func TestPicturesAreScoredAsTheirValuesDividedBy255(t *testing.T) {
	for _, size := range [][2]int{{50, 150}, {150, 50}, {8, 20}, {1, 1}, {11, 11}} {
		w, h := size[0], size[1]
		a, b := noise(w, h, 1), noise(w, h, 2)
		planes := func(im *rgb.Image) []float64 {
			out := make([]float64, 3*w*h)
			for i, v := range im.Pix {
				out[i%3*w*h+i/3] = float64(v) / 255
			}
			return out
		}
		pa, pb := planes(a), planes(b)
		var want Scores
		for to, f := range map[*float64]func() (float64, error){
			&want.PSNR: func() (float64, error) { return PSNR(pa, pb) }, &want.MAE: func() (float64, error) { return MAE(pa, pb) },
			&want.MSE: func() (float64, error) { return MSE(pa, pb) }, &want.SSIM: func() (float64, error) { return SSIM(pa, pb, h, w) },
			&want.BoxSSIM: func() (float64, error) { return BoxSSIM(pa, pb, h, w) },
		} {
			var err error
			if *to, err = f(); err != nil {
				t.Fatal(err)
			}
		}
		got, err := Compare(a, b)
		if err != nil || differs(got.PSNR, want.PSNR) || differs(got.SSIM, want.SSIM) || differs(got.BoxSSIM, want.BoxSSIM) || differs(got.MAE, want.MAE) || differs(got.MSE, want.MSE) {
			t.Errorf("%dx%d: got %+v (%v), want %+v", w, h, got, err, want)
		}
	}
}

func TestEqualPicturesHaveTheBestScores(t *testing.T) {
	got, err := Compare(noise(40, 30, 1), noise(40, 30, 1))
	want := Scores{PSNR: BestPSNR, SSIM: 1, BoxSSIM: 1}
	if err != nil || got.PSNR != BestPSNR || differs(got.SSIM, 1) || differs(got.BoxSSIM, 1) || got.MAE != 0 || got.MSE != 0 {
		t.Errorf("got %+v (%v), want %+v", got, err, want)
	}
}

func TestBlackAgainstWhiteIsZeroDecibelsNotMinusZero(t *testing.T) {
	white := rgb.New(20, 20)
	for i := range white.Pix {
		white.Pix[i] = 255
	}
	got, err := Compare(rgb.New(20, 20), white)
	if s := fmt.Sprintf("%.2f dB", got.PSNR); err != nil || s != "0.00 dB" {
		t.Errorf("got %s (%v), want 0.00 dB", s, err)
	}
}

func TestWhatCannotBeComparedIsAnError(t *testing.T) {
	if _, err := Compare(rgb.New(4, 5), rgb.New(5, 4)); err == nil || !strings.Contains(err.Error(), "4x5 and 5x4") {
		t.Errorf("sizes that differ: got %v, want both sizes named", err)
	}
	if _, err := Compare(rgb.New(0, 5), rgb.New(0, 5)); err == nil {
		t.Error("pictures without pixels: got no error")
	}
	one, two := []float64{1}, []float64{1, 2}
	for name, f := range map[string]func() (float64, error){
		"MAE of 1 and 2 values": func() (float64, error) { return MAE(one, two) },
		"PSNR of none":          func() (float64, error) { return PSNR[float64](nil, nil) },
		"half a plane":          func() (float64, error) { return SSIM(two, two, 2, 2) },
		"1 and 2 planes":        func() (float64, error) { return BoxSSIM(one, two, 1, 1) },
		"planes of no rows":     func() (float64, error) { return SSIM(one, one, 0, 1) },
	} {
		if v, err := f(); err == nil || !math.IsNaN(v) {
			t.Errorf("%s: got %v, %v; want NaN and an error", name, v, err)
		}
	}
}

func TestScoresDoNotDependOnTheNumberOfCores(t *testing.T) {
	a, b := noise(90, 210, 1), noise(90, 210, 2)
	many, _ := Compare(a, b)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one, _ := Compare(a, b)
	if one != many {
		t.Errorf("on one core the scores are %+v, on all %+v", one, many)
	}
}

// The size of a picture of the DIV2K data set.
func BenchmarkCompare(b *testing.B) {
	x, y := noise(2040, 1356, 1), noise(2040, 1356, 2)
	for b.Loop() {
		if _, err := Compare(x, y); err != nil {
			b.Fatal(err)
		}
	}
}
