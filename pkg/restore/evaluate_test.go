package restore

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/dataset"
	"rekindle/pkg/experiment"
	"rekindle/pkg/metrics"
	"rekindle/pkg/rgb"
)

// folder holds three pairs; the last one is not degraded at all.
func folder(t *testing.T) *dataset.Set {
	t.Helper()
	degraded, clean := t.TempDir(), t.TempDir()
	for i, name := range []string{"a", "b.1", "b.2"} {
		im := random(40+i, 30)
		if err := im.SavePNG(filepath.Join(clean, name+".png")); err != nil {
			t.Fatal(err)
		}
		if i < 2 {
			for k := range im.Pix {
				im.Pix[k] ^= uint8(1 + i)
			}
		}
		if err := im.SavePNG(filepath.Join(degraded, name+".png")); err != nil {
			t.Fatal(err)
		}
	}
	set, err := dataset.Open(degraded, clean, 16, nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestEvaluationScoresThePicturesThatItSaves(t *testing.T) {
	set, dir := folder(t), filepath.Join(t.TempDir(), "restored_images")
	r, _ := trained(t)
	var reported []int
	e, err := r.Evaluate(context.Background(), set, dir, tiles(32, 8, 2), 0, func(done, total int) { reported = append(reported, done, total) })
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{1, 3, 2, 3, 3, 3}; len(reported) != 6 || reported[4] != 3 {
		t.Errorf("progress is %v, want %v", reported, want)
	}
	mean := 0.0
	for i, want := range []string{"a.png", "b.1.png", "b.2.png"} {
		got := e.PerImage[i]
		if got.Filename != want {
			t.Errorf("picture %d is %s, want %s", i, got.Filename, want)
		}
		saved, err := rgb.Load(filepath.Join(dir, want))
		if err != nil {
			t.Fatal(err)
		}
		_, degraded, clean, err := set.Pair(i)
		if err != nil {
			t.Fatal(err)
		}
		s, _ := metrics.Compare(saved, clean)
		if float64(got.PSNR) != s.PSNR || float64(got.SSIM) != s.SSIM || float64(got.SSIMBox) != s.BoxSSIM || float64(got.MAE) != s.MAE || float64(got.MSE) != s.MSE {
			t.Errorf("%s: the scores are %+v, those of the saved file %+v", want, got.Scores, s)
		}
		mean += s.PSNR / 3
		s, _ = metrics.Compare(degraded, clean)
		if got := e.Degraded.PerImage[i]; float64(got.PSNR) != s.PSNR || float64(got.SSIM) != s.SSIM || float64(got.SSIMBox) != s.BoxSSIM {
			t.Errorf("%s: the degraded picture has %+v, want %+v", want, got.Scores, s)
		}
	}
	if math.Abs(float64(e.Mean.PSNR)-mean) > 1e-9 {
		t.Errorf("the mean PSNR is %v, want %v", e.Mean.PSNR, mean)
	}
}

// Restored as well as can be, a picture has 100 dB; an infinite PSNR is no JSON.
func TestThePerfectPictureLeavesTheFileValid(t *testing.T) {
	e, err := identity(t).Evaluate(context.Background(), folder(t), t.TempDir(), tiles(32, 8, 2), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "evaluation_metrics.json")
	if err := e.Save(path); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		N         int `json:"n_images"`
		Mean, Std map[string]float64
		PerImage  []map[string]any `json:"per_image"`
		Degraded  struct {
			Mean, Std map[string]float64
			PerImage  []map[string]any `json:"per_image"`
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	if file.N != 3 || len(file.PerImage) != 3 || len(file.Degraded.PerImage) != 3 {
		t.Errorf("the file is not about 3 pictures:\n%s", raw)
	}
	for _, key := range []string{"filename", "psnr", "ssim", "ssim_box", "mae", "mse"} {
		if _, ok := file.PerImage[2][key]; !ok {
			t.Errorf("a picture lacks %q:\n%s", key, raw)
		}
	}
	if v := file.PerImage[2]["psnr"]; v != float64(metrics.BestPSNR) {
		t.Errorf("the PSNR of equal pictures is written as %v, want %v", v, metrics.BestPSNR)
	}
	want := (file.PerImage[0]["psnr"].(float64) + file.PerImage[1]["psnr"].(float64) + metrics.BestPSNR) / 3
	if got := file.Mean["psnr"]; math.Abs(got-want) > 1e-9 {
		t.Errorf("the mean PSNR is %v, want %v, that of all three", got, want)
	}
	if _, err := experiment.LoadEvaluation(path); err != nil {
		t.Error(err)
	}
}

func TestTheFileSaysHowThePicturesWereMade(t *testing.T) {
	o := Options{TileSize: 32, Overlap: 8, BatchSize: 2, Margin: 4, SelfEnsemble: true}
	e, err := identity(t).Evaluate(context.Background(), folder(t), t.TempDir(), o, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"self_ensemble":true`, `"tile_size":32`, `"tile_overlap":8`, `"margin":4`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %s in %s", want, raw)
		}
	}
	if e.Seconds <= 0 {
		t.Errorf("restoring took %g s", e.Seconds)
	}
}

func TestTheLimitOfPicturesCounts(t *testing.T) {
	dir := t.TempDir()
	e, err := identity(t).Evaluate(context.Background(), folder(t), dir, tiles(32, 8, 2), 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	files, _ := os.ReadDir(dir)
	if e.NImages != 2 || len(e.PerImage) != 2 || len(files) != 2 {
		t.Errorf("%d pictures are counted, %d scored, %d saved; want 2", e.NImages, len(e.PerImage), len(files))
	}
}

func TestAPictureThatFailsIsNamed(t *testing.T) {
	if _, err := identity(t).Evaluate(context.Background(), folder(t), t.TempDir(), tiles(32, 32, 2), 0, nil); err == nil || !strings.Contains(err.Error(), "evaluating a:") {
		t.Errorf("got %v, want an error that names picture a", err)
	}
	notAFolder := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notAFolder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := identity(t).Evaluate(context.Background(), folder(t), notAFolder, tiles(32, 8, 2), 0, nil); err == nil || !strings.Contains(err.Error(), notAFolder) {
		t.Errorf("got %v, want an error that names %s", err, notAFolder)
	}
}
