package plots

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"rekindle/pkg/history"
	"rekindle/pkg/rgb"
)

var nan = math.NaN()

// run is a plausible history: validated in every second epoch, warm-up and cosine.
func run(epochs int) *history.History {
	h := &history.History{}
	for i := range epochs {
		x := float64(i)
		e := history.Epoch{
			TrainLoss: 0.08 + 0.3*math.Exp(-x/4), TrainL1: 0.05 + 0.2*math.Exp(-x/4), TrainSSIM: 0.8 - 0.5*math.Exp(-x/5),
			ValLoss: nan, ValL1: nan, ValSSIM: nan, ValPSNR: nan,
			EpochTime: 40 + math.Sin(x),
			LR:        1e-6 + (1e-4-1e-6)*(1+math.Cos(math.Pi*x/float64(epochs)))/2,
		}
		if i < 5 {
			e.LR = 1e-4 * (x + 1) / 5
		}
		if i%2 == 1 {
			e.ValLoss, e.ValL1, e.ValSSIM, e.ValPSNR = e.TrainLoss*1.1+0.01*math.Sin(3*x), e.TrainL1*1.1, e.TrainSSIM*0.96, 26-10*math.Exp(-x/4)
		}
		h.Append(e)
	}
	return h
}

// decode checks that data is a picture, and keeps it for people where
// PLOTS_DIR says so.
func decode(t *testing.T, data []byte, err error) image.Image {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	im, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("PLOTS_DIR"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(t.Name())+".png"), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return im
}

// count returns how many pixels of im have the colour c.
func count(im image.Image, c color.NRGBA) int {
	n := 0
	b := im.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if color.NRGBAModel.Convert(im.At(x, y)) == c {
				n++
			}
		}
	}
	return n
}

func TestCurvesDrawWhateverAHistoryHolds(t *testing.T) {
	constantRate := run(8)
	for i := range constantRate.LR {
		constantRate.LR[i] = 1e-3
	}
	zeroRate := run(8)
	zeroRate.LR[7] = 0
	allZeroRate := run(3)
	for i := range allZeroRate.LR {
		allZeroRate.LR[i] = 0
	}
	broken := run(12)
	broken.TrainLoss[4], broken.TrainL1[5], broken.ValLoss[3] = nan, math.Inf(1), math.Inf(1)
	unmeasured := &history.History{}
	unmeasured.Resize(4)
	withoutPSNR := run(36)
	for i := range withoutPSNR.ValPSNR {
		withoutPSNR.ValPSNR[i] = nan
	}
	flat := run(6)
	for i := range flat.TrainLoss {
		flat.TrainLoss[i], flat.ValLoss[i] = 0.25, 0.25
	}
	for name, h := range map[string]*history.History{
		"thirty_six": run(36), "one_epoch": run(1), "two_epochs": run(2), "seven": run(7), "many": run(700),
		"constant_rate": constantRate, "zero_rate": zeroRate, "all_zero_rate": allZeroRate,
		"broken": broken, "unmeasured": unmeasured, "flat": flat, "without_psnr": withoutPSNR,
	} {
		t.Run(name, func(t *testing.T) {
			data, err := Curves(h)
			if b := decode(t, data, err).Bounds(); b.Dx() != 1400 || b.Dy() != map[bool]int{true: 1500, false: 1050}[measured(h.ValPSNR)] {
				t.Errorf("got a picture of %v, want 1400 x 1050, or 1500 with a PSNR", b)
			}
		})
	}
}

func TestValidationIsDrawnOnlyWhereThereWasOne(t *testing.T) {
	never := run(6)
	for i := range never.ValLoss {
		never.ValLoss[i], never.ValL1[i], never.ValSSIM[i], never.ValPSNR[i] = nan, nan, nan, nan
	}
	data, err := Curves(never)
	if n := count(decode(t, data, err), valColor); n != 0 {
		t.Errorf("a history without validation has %d pixels in validation's colour, want 0", n)
	}
	data, err = Curves(run(6))
	if n := count(decode(t, data, err), valColor); n == 0 {
		t.Error("a history with validation has no pixel in validation's colour")
	}
}

func TestTheLivePictureIsDrawnFromTheFirstEpochOn(t *testing.T) {
	for _, epochs := range []int{1, 9} {
		data, err := Live(run(epochs))
		if n := count(decode(t, data, err), trainColor); n == 0 {
			t.Errorf("%d epochs: no pixel in training's colour", epochs)
		}
	}
}

func TestNothingToDrawIsAnError(t *testing.T) {
	_, curves := Curves(&history.History{})
	_, live := Live(&history.History{})
	_, grid := Grid("title", []Row{{}})
	for name, err := range map[string]error{"Curves": curves, "Live": live, "Grid": grid} {
		if !errors.Is(err, ErrEmpty) {
			t.Errorf("%s of nothing: got %v, want ErrEmpty", name, err)
		}
	}
}

func TestAComparisonHasACurveAndABarForEachRun(t *testing.T) {
	runs := []Run{
		{Name: "1 unet 20260101_120000_bilinear", History: run(20), Gain: 9.87, Color: 2},
		{Name: "2 attention_unet 20260101_130000_a_very_long_name_of_an_experiment", History: run(7), Gain: 4.5, Color: 0, Unfinished: true},
		{Name: "3 unet_residual 20260102_120000_worse", History: run(2), Gain: -1.25, Color: 3},
		{Name: "4 unet 20260103_120000_started", History: &history.History{}, Gain: nan, Color: 1, Unfinished: true},
	}
	data, err := Compare(runs)
	im := decode(t, data, err)
	middle := im.Bounds().Dx() / 2
	in := func(c color.NRGBA, from, to int) (n int) {
		for y := range im.Bounds().Dy() {
			for x := from; x < to; x++ {
				if color.NRGBAModel.Convert(im.At(x, y)) == c {
					n++
				}
			}
		}
		return n
	}
	for _, r := range runs {
		curve, bar := in(Color(r.Color), 0, middle), in(Color(r.Color), middle, im.Bounds().Dx())
		if (curve > 20) != (r.History.Len() > 0) {
			t.Errorf("%s: its curve has %d pixels", r.Name, curve)
		}
		if math.IsNaN(r.Gain) && (bar == 0 || bar > 200) || !math.IsNaN(r.Gain) && bar < 500 {
			t.Errorf("%s, %g dB: its bar, or the mark in its place, has %d pixels", r.Name, r.Gain, bar)
		}
	}
}

func TestAComparisonDrawsWhateverThereIs(t *testing.T) {
	var many []Run
	for i := range 19 {
		many = append(many, Run{Name: strconv.Itoa(i+1) + " unet 20260101_120000", History: run(4 + i), Gain: 10 - float64(i)/2, Color: i, Unfinished: i%3 == 0})
	}
	for name, runs := range map[string][]Run{
		"many_runs": many, "one_run": {{Name: "1", History: run(3), Gain: 7}}, "nothing_measured": {{Name: "1", History: &history.History{}, Gain: nan}, {Name: "2", History: &history.History{}, Gain: nan}},
		"all_worse": {{Name: "1", History: run(1), Gain: -3}, {Name: "2", History: run(2), Gain: -4}}, "no_gain": {{Name: "1", History: run(1), Gain: 0}},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := Compare(runs)
			decode(t, data, err)
		})
	}
	if _, err := Compare(nil); !errors.Is(err, ErrEmpty) {
		t.Errorf("nothing to compare: got %v, want ErrEmpty", err)
	}
}

func filled(w, h int, r, g, b uint8) *rgb.Image {
	im := rgb.New(w, h)
	for i := range w * h {
		im.Pix[3*i], im.Pix[3*i+1], im.Pix[3*i+2] = r, g, b
	}
	return im
}

func TestGridEnlargesPatchesByAWholeFactorAndShrinksPhotographs(t *testing.T) {
	patch, photo := filled(64, 64, 200, 0, 0), filled(2040, 1356, 0, 0, 200)
	data, err := Grid("Patches", []Row{
		{Images: []*rgb.Image{patch, patch, patch, patch}, Titles: []string{"one", "two", "three", "four"}},
		{Images: []*rgb.Image{patch, patch, patch, patch}},
	})
	im := decode(t, data, err)
	if got, want := count(im, color.NRGBA{200, 0, 0, 255}), 8*192*192; got != want {
		t.Errorf("eight patches of 64 x 64: got %d pixels, want %d (three times enlarged)", got, want)
	}
	data, err = Grid("Photographs", []Row{{Images: []*rgb.Image{photo, photo, photo}, Titles: []string{"Degraded\n12.1 dB", "Restored\n25.3 dB", "Clean"}}})
	im = decode(t, data, err)
	if w := im.Bounds().Dx(); w > gridWidth {
		t.Errorf("the grid is %d pixels wide, want at most %d", w, gridWidth)
	}
	if n := count(im, color.NRGBA{0, 0, 200, 255}); n < 3*300*190 {
		t.Errorf("photographs cover %d pixels, want most of the grid", n)
	}
}

func TestGridShortensTitlesThatDoNotFit(t *testing.T) {
	long := "a_very_long_file_name_of_a_photograph_from_some_camera_0001.png"
	data, err := Grid("", []Row{{Images: []*rgb.Image{filled(64, 64, 0, 90, 0), filled(64, 64, 0, 90, 0)}, Titles: []string{long + "\n" + long, "short"}}})
	im := decode(t, data, err)
	// Nothing is written in the margins: the outermost columns stay white.
	for y := range im.Bounds().Dy() {
		for _, x := range []int{0, 1, im.Bounds().Dx() - 1} {
			if c := color.NRGBAModel.Convert(im.At(x, y)); c != (color.NRGBA{255, 255, 255, 255}) {
				t.Fatalf("pixel (%d, %d) is %v, want white", x, y, c)
			}
		}
	}
}

func TestTicksNameWholeEpochsAndTheFirst(t *testing.T) {
	for _, c := range []struct{ min, max float64 }{{0.5, 1.5}, {0.5, 7.5}, {0.3, 36.7}, {-13, 714}} {
		labels := map[string]bool{}
		for _, tick := range (wholeTicks{}).Ticks(c.min, c.max) {
			if tick.Value != math.Trunc(tick.Value) || tick.Value < 1 || tick.Value > c.max {
				t.Errorf("[%g, %g]: tick at %g", c.min, c.max, tick.Value)
			}
			labels[tick.Label] = true
		}
		if !labels["1"] || len(labels) > 12 {
			t.Errorf("[%g, %g]: labels %v, want epoch 1 among at most 12", c.min, c.max, labels)
		}
	}
}

func TestALogarithmicAxisAlwaysHasTwoLabels(t *testing.T) {
	for _, c := range []struct{ min, max float64 }{{8e-7, 1.2e-4}, {5e-4, 2e-3}, {1e-9, 1}} {
		labels := 0
		for _, tick := range (decadeTicks{}).Ticks(c.min, c.max) {
			if tick.Label != "" {
				labels++
			}
		}
		if labels < 2 || labels > 12 {
			t.Errorf("[%g, %g]: %d labels, want 2 to 12", c.min, c.max, labels)
		}
	}
}
