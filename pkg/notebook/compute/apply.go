package compute

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/experiment"
	"rekindle/pkg/metrics"
	"rekindle/pkg/notebook"
	"rekindle/pkg/plots"
	"rekindle/pkg/restore"
	"rekindle/pkg/rgb"
)

// samples is how many validation patches RestoreSamples shows.
const samples = 4

// RestoreSamples restores some validation patches with the best weights and
// shows degraded, restored and clean beside each other.
func RestoreSamples(cfg config.Config) {
	exp := notebook.Experiment(cfg)
	r, state, err := loadBest(cfg, exp)
	notebook.Check(err)
	fmt.Fprintf(notebook.Out, "✅ Loaded best model from epoch %d\n", state.Epoch)

	ctx, stop := interruptible()
	defer stop()
	set, err := dataset.Open(cfg.ValDegradedDir, cfg.ValCleanDir, cfg.PatchSize, warn)
	notebook.Check(err)
	loader := set.Validation(cfg.PatchSize, cfg.ValPatchesPerImage, cfg.Seed).Batches(ctx, 1, 0, samples, 1)
	defer loader.Close()
	batch, err := loader.Next()
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("there is no validation patch to restore; put pictures of at least %d x %d pixels into %s", cfg.PatchSize, cfg.PatchSize, cfg.ValCleanDir)
	}
	notebook.Check(err)
	out, err := r.Batch(ctx, batch.Degraded, batch.N, batch.Size, batch.Size)
	notebook.Check(err)

	var rows []plots.Row
	for i := range batch.N {
		n := 3 * batch.Size * batch.Size
		picture := func(planes []float32) *rgb.Image {
			return rgb.FromPlanes(planes[i*n:(i+1)*n], batch.Size, batch.Size)
		}
		degraded, restored, clean := picture(batch.Degraded), picture(out), picture(batch.Clean)
		before, err := metrics.Compare(degraded, clean)
		notebook.Check(err)
		after, err := metrics.Compare(restored, clean)
		notebook.Check(err)
		rows = append(rows, plots.Row{
			Images: []*rgb.Image{degraded, restored, clean},
			Titles: []string{fmt.Sprintf("Degraded, %.1f dB", before.PSNR), fmt.Sprintf("Restored, %.1f dB", after.PSNR), "Clean"},
		})
	}
	png, err := plots.Grid("Validation patches", rows)
	notebook.Check(err)
	path := filepath.Join(exp.SamplesDir(), "inference_results.png")
	notebook.Check(notebook.Picture(path, png))
	fmt.Fprintf(notebook.Out, "✅ Inference results saved to %s\n", notebook.Short(path))
}

// Evaluate restores whole validation pictures, scores them and their degraded
// inputs, and writes restored_images/ and evaluation_metrics.json.
func Evaluate(cfg config.Config) {
	exp := notebook.Experiment(cfg)
	r, state, err := loadBest(cfg, exp)
	notebook.Check(err)
	fmt.Fprintf(notebook.Out, "🔍 Evaluating the weights of epoch %d in tiles of %d with %d pixels of overlap\n", state.Epoch, cfg.PatchSize, cfg.TileOverlap)
	ctx, stop := interruptible()
	defer stop()
	set, err := dataset.Open(cfg.ValDegradedDir, cfg.ValCleanDir, 1, warn)
	notebook.Check(err)
	options := restore.Options{TileSize: cfg.PatchSize, Overlap: cfg.TileOverlap, BatchSize: cfg.BatchSize}
	e, err := r.Evaluate(ctx, set, exp.RestoredDir(), options, cfg.MaxEvalImages, nil)
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(notebook.Out, "⚠️  Evaluation interrupted; evaluation_metrics.json was not written")
		return
	}
	notebook.Check(err)
	notebook.Check(e.Save(exp.MetricsPath()))
	showScores(e)
	fmt.Fprintf(notebook.Out, "\n✅ Scores saved to %s\n   Pictures in %s\n", notebook.Short(exp.MetricsPath()), notebook.Short(exp.RestoredDir()))
}

func showScores(e *experiment.Evaluation) {
	fmt.Fprintf(notebook.Out, "\n   %-24s %18s %20s\n", "", "PSNR (dB)", "SSIM")
	fmt.Fprintf(notebook.Out, "   %-24s %18s %20s\n", "picture", "degraded → restored", "degraded → restored")
	line := func(name string, before, after experiment.Scores) {
		fmt.Fprintf(notebook.Out, "   %-24s %8.2f → %8.2f %9.4f → %8.4f\n", name, before.PSNR, after.PSNR, before.SSIM, after.SSIM)
	}
	for i, after := range e.PerImage {
		line(after.Filename, e.Degraded.PerImage[i].Scores, after.Scores)
	}
	line("mean", e.Degraded.Mean, e.Mean)
	fmt.Fprintf(notebook.Out, "\n   Gain: %.2f dB\n", e.Mean.PSNR-e.Degraded.Mean.PSNR)
}
