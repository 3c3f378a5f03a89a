package notebook

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"rekindle/pkg/config"
	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/figures"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/plots"
	"rekindle/pkg/rgb"
)

// BestAndWorst shows the pictures with the highest and the lowest SSIM of the
// evaluation, degraded, restored and clean: whole ones and, at full size, the
// place of the first where restoring took away most of the error, and the place
// of the second where most is left.
func BestAndWorst(cfg config.Config) {
	cell.Check(bestAndWorst(cfg))
}

func bestAndWorst(cfg config.Config) error {
	exp, err := current(cfg)
	if err != nil {
		return err
	}
	evaluation, err := experiment.LoadEvaluation(exp.MetricsPath())
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(evaluation.PerImage) == 0 {
		return fmt.Errorf("%w: %s is not evaluated; run the cell under \"13. Evaluation on full images\" first", cell.ErrNothing, exp.Name())
	}
	if err != nil {
		return err
	}
	best, worst := extremes(evaluation.PerImage)
	for _, x := range []struct {
		icon, title, file string
		index             int
		place             func(degraded, restored, clean *rgb.Image) (x, y, w, h int)
	}{
		{"🏆", "Best result", "best_full_restoration.png", best, mostGained},
		{"⚠️ ", "Worst result", "worst_full_restoration.png", worst, mostLeft},
	} {
		restored := evaluation.PerImage[x.index]
		cell.Say("%s %s: %s", x.icon, x.title, restored.Filename)
		cell.Say("   %s", scores(restored.Scores))
		titles := []string{"Degraded", "Restored\n" + scores(restored.Scores), "Clean"}
		if x.index < len(evaluation.Degraded.PerImage) {
			titles[0] += "\n" + scores(evaluation.Degraded.PerImage[x.index].Scores)
		}
		images, err := trio(cfg, exp, durable.Unprintable(restored.Filename))
		if err != nil {
			return err
		}
		png, err := plots.Grid(x.title+": "+restored.Filename, withPlace(images, titles, x.place))
		if err != nil {
			return err
		}
		if err := Picture(filepath.Join(exp.SamplesDir(), x.file), png, ""); err != nil {
			return err
		}
	}
	return nil
}

// extremes returns where the highest and the lowest SSIM are.
func extremes(images []experiment.ImageScores) (best, worst int) {
	for i, im := range images {
		if im.SSIM > images[best].SSIM || math.IsNaN(float64(images[best].SSIM)) {
			best = i
		}
		if im.SSIM < images[worst].SSIM || math.IsNaN(float64(images[worst].SSIM)) {
			worst = i
		}
	}
	return best, worst
}

func scores(s experiment.Scores) string {
	if s.MSE == 0 && s.SSIM > 0 {
		return "identical, SSIM " + figures.Loss(float64(s.SSIM))
	}
	return fmt.Sprintf("%s dB, SSIM %s", figures.Decibels(float64(s.PSNR)), figures.Loss(float64(s.SSIM)))
}

// trio reads a degraded picture, what was made of it, and the clean one. The
// three share a stem; only the restored one is surely a PNG file.
func trio(cfg config.Config, exp *experiment.Experiment, file string) ([]*rgb.Image, error) {
	var images []*rgb.Image
	for _, dir := range []string{cfg.ValDegradedDir, exp.RestoredDir(), cfg.ValCleanDir} {
		path, err := withStem(dir, rgb.Stem(file))
		if err != nil {
			return nil, err
		}
		im, err := rgb.Load(path)
		if err != nil {
			return nil, err
		}
		images = append(images, im)
	}
	return images, nil
}

func withStem(dir, stem string) (string, error) {
	names, err := rgb.List(dir)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if rgb.Stem(name) == stem {
			return filepath.Join(dir, name), nil
		}
	}
	return "", fmt.Errorf("%s holds no picture %s, which the evaluation was about; run the cell under \"13. Evaluation on full images\" again", dir, stem)
}
