package compute

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/experiment"
	"rekindle/pkg/export"
	"rekindle/pkg/metrics"
	"rekindle/pkg/notebook"
	"rekindle/pkg/plots"
	"rekindle/pkg/restore"
	"rekindle/pkg/rgb"
	"rekindle/pkg/tensorboard"
)

// samples is how many validation patches RestoreSamples shows.
const samples = 4

// RestoreSamples restores some validation patches with the best weights and
// shows degraded, restored and clean ones in rows, of different pictures where
// there are several.
func RestoreSamples(cfg config.Config) {
	exp := notebook.Experiment(cfg)
	r, state, err := loadBest(cfg, exp)
	notebook.Check(err)
	fmt.Fprintf(notebook.Out, "✅ Loaded best model from epoch %d\n", state.Epoch)

	ctx, stop := interruptible()
	defer stop()
	set, err := dataset.Open(cfg.ValDegradedDir, cfg.ValCleanDir, cfg.PatchSize, warn)
	notebook.Check(err)
	rows, err := restoredPatches(ctx, r, set, cfg)
	notebook.Check(err)
	png, err := plots.Grid("Validation patches", rows)
	notebook.Check(err)
	path := filepath.Join(exp.SamplesDir(), "inference_results.png")
	notebook.Check(notebook.Picture(path, png))
	fmt.Fprintf(notebook.Out, "✅ Inference results saved to %s\n", notebook.Short(path))
	if err := tensorboard.AddImage(exp, "Samples/validation", state.Epoch, png); err != nil {
		fmt.Fprintf(notebook.Out, "⚠️  They are not in TensorBoard: %v\n", err)
	}
}

// restoredPatches makes the three rows of RestoreSamples: degraded patches, what
// the network makes of them, and the clean ones.
func restoredPatches(ctx context.Context, r *restore.Restorer, set *dataset.Set, cfg config.Config) ([]plots.Row, error) {
	patches := set.Validation(cfg.PatchSize, cfg.ValPatchesPerImage, cfg.Seed)
	chosen := spread(patches.Len(), cfg.ValPatchesPerImage, samples)
	if len(chosen) == 0 {
		return nil, fmt.Errorf("there is no validation patch to restore; put pictures of at least %d x %d pixels into %s", cfg.PatchSize, cfg.PatchSize, cfg.ValCleanDir)
	}
	side := cfg.PatchSize
	degraded, clean := make([]float32, 3*side*side), make([]float32, 3*side*side)
	// In one piece, with the margin that whole pictures have: what shows is what they get.
	options := restore.Options{TileSize: side + 2*restore.Margin, BatchSize: 1, Margin: restore.Margin, SelfEnsemble: cfg.SelfEnsemble}
	rows := make([]plots.Row, 3)
	for _, index := range chosen {
		patches.Patch(0, index, degraded, clean)
		images := [3]*rgb.Image{rgb.FromPlanes(degraded, side, side), nil, rgb.FromPlanes(clean, side, side)}
		var err error
		if images[1], err = r.Image(ctx, images[0], options); err != nil {
			return nil, err
		}
		for k := range images {
			rows[k].Images = append(rows[k].Images, images[k])
		}
		for k, what := range []string{"Degraded", "Restored"} {
			s, err := metrics.Compare(images[k], images[2])
			if err != nil {
				return nil, err
			}
			rows[k].Titles = append(rows[k].Titles, fmt.Sprintf("%s, %.1f dB", what, s.PSNR))
		}
		rows[2].Titles = append(rows[2].Titles, "Clean")
	}
	return rows, nil
}

// spread chooses up to n of the patches, which lie picture by picture: from as
// many pictures as possible, the first patch of each, then the second ones.
func spread(patches, perImage, n int) []int {
	var chosen []int
	for k := range perImage {
		for first := 0; first < patches; first += perImage {
			if len(chosen) < n {
				chosen = append(chosen, first+k)
			}
		}
	}
	slices.Sort(chosen)
	return chosen
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
	options := restore.Options{TileSize: cfg.PatchSize, Overlap: cfg.TileOverlap, BatchSize: cfg.BatchSize, Margin: restore.Margin, SelfEnsemble: cfg.SelfEnsemble}
	if cfg.SelfEnsemble {
		fmt.Fprintln(notebook.Out, "   SelfEnsemble: the mean of eight restorations of each picture, which takes eight times as long")
	}
	draft, err := exp.Draft()
	notebook.Check(err)
	e, err := r.Evaluate(ctx, set, draft.Dir, options, cfg.MaxEvalImages, nil)
	if err == nil {
		e.Epoch = state.Epoch
		err = draft.Commit(e)
	}
	err = errors.Join(err, draft.Close())
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(notebook.Out, "⚠️  Evaluation interrupted; pictures and scores are as they were before it")
		return
	}
	notebook.Check(err)
	showScores(e)
	fmt.Fprintf(notebook.Out, "\n✅ Scores saved to %s\n   Pictures in %s\n", notebook.Short(exp.MetricsPath()), notebook.Short(exp.RestoredDir()))
}

func showScores(e *experiment.Evaluation) {
	row := "   %-24s %18s %20s %20s\n"
	fmt.Fprintf(notebook.Out, "\n"+row, "", "PSNR (dB)", "SSIM", "SSIM box")
	fmt.Fprintf(notebook.Out, row, "picture", "degraded → restored", "degraded → restored", "degraded → restored")
	line := func(name string, before, after experiment.Scores) {
		fmt.Fprintf(notebook.Out, "   %-24s %8.2f → %8.2f %9.4f → %8.4f %9.4f → %8.4f\n", name, before.PSNR, after.PSNR, before.SSIM, after.SSIM, before.SSIMBox, after.SSIMBox)
	}
	for i, after := range e.PerImage {
		line(after.Filename, e.Degraded.PerImage[i].Scores, after.Scores)
	}
	line("mean", e.Degraded.Mean, e.Mean)
	fmt.Fprintf(notebook.Out, "\n   Gain: %.2f dB, in %.1f s of restoring\n", e.Gain(), e.Seconds)
	fmt.Fprintln(notebook.Out, "   SSIM is as published; SSIM box is the Python original's, to compare with its numbers only")
}

// Export writes the best weights of the current experiment for other programs,
// as "onnx" or "safetensors", into its folder export.
func Export(cfg config.Config, format string) {
	exp := notebook.Experiment(cfg)
	to, from, err := export.Experiment(exp, format, "", warn)
	notebook.Check(err)
	fmt.Fprintf(notebook.Out, "✅ %s exported to %s\n", from, notebook.Short(to))
}
