package score

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/metrics"
	"rekindle/pkg/rgb"
)

// pictures is a folder with some in colour and one that is grey.
func pictures(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := deadleaves.Image(60, 40, rand.New(rand.NewPCG(1, uint64(name[0])))).SavePNG(filepath.Join(dir, name+".png")); err != nil {
			t.Fatal(err)
		}
	}
	grey := rgb.New(50, 50)
	for i := range grey.Pix {
		grey.Pix[i] = uint8(100 + i/3%50)
	}
	if err := grey.SavePNG(filepath.Join(dir, "d.png")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func nothing(_ context.Context, noisy Image, _ float64) (Image, error) { return noisy, nil }

func folder(t *testing.T, dir string, d Denoiser, o Options) *Result {
	t.Helper()
	r, err := Folder(context.Background(), dir, d, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNoiseIsNeitherRoundedNorClippedUnlessAskedFor(t *testing.T) {
	white := Image{100, 100, slices.Repeat([]float64{250}, 30000)}
	noisy := Noisy(white, 25, false, rand.New(rand.NewPCG(1, 2)))
	sum, squares, whole, beyond := 0.0, 0.0, 0, 0
	for _, v := range noisy.Values {
		sum, squares = sum+(v-250)/30000, squares+(v-250)*(v-250)/30000
		if v == math.Round(v) {
			whole++
		}
		if v > 255 {
			beyond++
		}
	}
	if math.Abs(sum) > 0.6 || math.Abs(math.Sqrt(squares)-25) > 0.4 || whole > 3 || beyond < 12000 {
		t.Errorf("mean %.2f, deviation %.2f, %d whole numbers, %d above 255", sum, math.Sqrt(squares), whole, beyond)
	}
	for i, v := range Noisy(white, 25, true, rand.New(rand.NewPCG(1, 2))).Values {
		if want := math.Round(min(max(noisy.Values[i], 0), 255)); v != want {
			t.Fatalf("clipped, %v becomes %v", noisy.Values[i], v)
		}
	}
}

// The noise of a picture is the same in whatever company, place and format it is
// measured; another seed or another name has another.
func TestNoiseDependsOnSeedAndNameAlone(t *testing.T) {
	dir := pictures(t)
	all := folder(t, dir, nothing, Options{Sigma: 25, Seed: 3})
	some := folder(t, dir, nothing, Options{Sigma: 25, Seed: 3, Every: 2})
	if len(some.Pictures) != 2 || some.Pictures[1].Scores != all.Pictures[2].Scores || some.Pictures[1].Name != "c.png" {
		t.Errorf("every second picture: %+v, of %+v", some.Pictures, all.Pictures)
	}
	if other := folder(t, dir, nothing, Options{Sigma: 25, Seed: 4}); other.Pictures[0].PSNR == all.Pictures[0].PSNR {
		t.Error("another seed gives the same noise")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "a.png"))
	if err != nil {
		t.Fatal(err)
	}
	alone := t.TempDir()
	for _, name := range []string{"a.png", "z.png"} {
		if err := os.WriteFile(filepath.Join(alone, name), raw, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got := folder(t, alone, nothing, Options{Sigma: 25, Seed: 3})
	if got.Pictures[0].Scores != all.Pictures[0].Scores || got.Pictures[1].PSNR == got.Pictures[0].PSNR {
		t.Errorf("elsewhere: %+v, want %+v; under another name %+v", got.Pictures[0], all.Pictures[0], got.Pictures[1])
	}
}

func TestScoresAreThoseOfPapers(t *testing.T) {
	dir := pictures(t)
	r := folder(t, dir, nothing, Options{Sigma: 25})
	// Nothing is clipped in the grey picture: 20 log10(255/25) = 20.17 dB; 2500 values are known to 0.2.
	last := r.Pictures[3]
	if !last.Grey || r.Pictures[0].Grey || math.Abs(float64(last.PSNR)-20.17) > 0.3 || last.Scores.PSNR != last.NoisyPSNR {
		t.Errorf("the grey picture: %+v", last)
	}
	sum := 0.0
	for _, p := range r.Pictures {
		sum += float64(p.PSNR)
	}
	if math.Abs(sum/4-float64(r.Mean.PSNR)) > 1e-9 {
		t.Errorf("the mean is %v, not that of the pictures, %v", r.Mean.PSNR, sum/4)
	}
	// Results are clipped before they count: beyond white is white.
	white := t.TempDir()
	im := rgb.New(20, 20)
	for i := range im.Pix {
		im.Pix[i] = 255
	}
	if err := im.SavePNG(filepath.Join(white, "w.png")); err != nil {
		t.Fatal(err)
	}
	beyond := folder(t, white, func(_ context.Context, noisy Image, sigma float64) (Image, error) {
		if sigma != 30 {
			t.Errorf("the level was said to be %v", sigma)
		}
		out := slices.Clone(noisy.Values)
		for i := range out {
			out[i] = 255 + math.Abs(out[i])
		}
		return Image{noisy.W, noisy.H, out}, nil
	}, Options{Sigma: 30})
	if beyond.Mean.PSNR != metrics.BestPSNR {
		t.Errorf("%v dB, want no error at all", beyond.Mean.PSNR)
	}
	if raw, err := json.Marshal(beyond); err != nil || !strings.Contains(string(raw), `"psnr":100`) {
		t.Errorf("in JSON: %s, %v", raw, err)
	}
}

func TestColoursBecomeGreyByTheFormula(t *testing.T) {
	got := Grey(Image{2, 1, []float64{200, 10, 100, 20, 50, 30}})
	// 0.298936*200 + 0.587043*100 + 0.114021*50 = 124.19; 0.298936*10 + 0.587043*20 + 0.114021*30 = 18.15.
	if !slices.Equal(got.Values, []float64{124, 18}) {
		t.Errorf("got %v", got.Values)
	}
	r := folder(t, pictures(t), func(_ context.Context, noisy Image, _ float64) (Image, error) {
		if noisy.Planes() != 1 {
			t.Errorf("%d planes", noisy.Planes())
		}
		return noisy, nil
	}, Options{Sigma: 25, Grey: true})
	if !r.Pictures[0].Grey || r.String() != filepath.Base(r.Set)+", 4 pictures, sigma 25, made grey" {
		t.Errorf("%s: %+v", r, r.Pictures[0])
	}
}

func TestWhatCannotBeScoredIsOneSentence(t *testing.T) {
	dir, empty, broken := pictures(t), t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "x.png"), []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, "a.png"))
	if err == nil {
		err = os.WriteFile(filepath.Join(broken, "a.png"), whole, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	fails := errors.New("no memory")
	for _, c := range []struct {
		dir  string
		d    Denoiser
		o    Options
		says string
	}{
		{filepath.Join(dir, "none"), nothing, Options{Sigma: 25}, "there is no folder"},
		{empty, nothing, Options{Sigma: 25}, "there is no picture in"},
		{broken, func(context.Context, Image, float64) (Image, error) {
			return Image{}, errors.New("a.png was measured first")
		}, Options{Sigma: 25}, "x.png"},
		{dir, nothing, Options{Sigma: -1}, "0 to 255"}, {dir, nothing, Options{Sigma: math.NaN()}, "0 to 255"},
		{dir, func(context.Context, Image, float64) (Image, error) { return Image{}, fails }, Options{}, "a.png: no memory"},
	} {
		if _, err := Folder(context.Background(), c.dir, c.d, c.o); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want it to say %q", err, c.says)
		}
	}
}

func TestAReportIsTwoFilesOrAnError(t *testing.T) {
	dir := t.TempDir()
	r := Report{Network: "n", Results: []*Result{folder(t, pictures(t), nothing, Options{Sigma: 25})}}
	if err := r.Save(filepath.Join(dir, "scores.csv")); err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(dir, "scores.csv"))
	if lines := strings.Split(string(table), "\n"); err != nil || !strings.HasPrefix(lines[1], "25,a.png,60,40,3,") || !strings.HasPrefix(lines[4], "25,d.png,50,50,1,") {
		t.Errorf("%v:\n%s", err, table)
	}
	if _, err := os.Stat(filepath.Join(dir, "scores.json")); err != nil {
		t.Error(err)
	}
	if err := r.Save(filepath.Join(dir, "none", "scores")); err == nil || !strings.Contains(err.Error(), "there is no folder") {
		t.Errorf("no folder: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a folder was made")
	}
	if err := r.Save(dir + "/"); err == nil {
		t.Error("a folder is no name")
	}
}

func TestLevelsAreReadFromALine(t *testing.T) {
	if got, err := Levels("15, 25,50.5"); err != nil || !slices.Equal(got, []float64{15, 25, 50.5}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "a", "25,", "-1", "256", "NaN"} {
		if _, err := Levels(text); err == nil || !strings.Contains(err.Error(), "SIGMA") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
