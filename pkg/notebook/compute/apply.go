package compute

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/export"
	"rekindle/pkg/interrupt"
	"rekindle/pkg/metrics"
	"rekindle/pkg/notebook"
	"rekindle/pkg/notebook/cell"
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
	if cell.PassedOver("samples", "restoring samples") {
		return
	}
	exp := notebook.Experiment(cfg)
	ctx, check, stop := heavy("Interrupted; the samples are as they were before")
	defer stop()
	state, err := interrupt.Do(ctx, func() (*checkpoint.State, error) { return loadBest(exp) })
	check(err)
	r, err := interrupt.Do(ctx, func() (*restore.Restorer, error) { return newRestorer(cfg, exp, state) })
	check(err)
	if isBest(state) {
		cell.Say("✅ Loaded best model from epoch %d", state.Epoch)
	} else {
		cell.Say("✅ Loaded the weights of %s", state.Cursor)
	}

	set, err := notebook.OpenValidation(cfg, cfg.PatchSize, cell.Warn)
	check(err)
	rows, err := interrupt.Do(ctx, func() ([]plots.Row, error) { return restoredPatches(ctx, r, set, cfg) })
	check(err)
	png, err := plots.Grid("Validation patches", rows)
	check(err)
	_ = exp.Sweep() // whether anything can be written there shows below
	path := filepath.Join(exp.SamplesDir(), "inference_results.png")
	check(notebook.Picture(path, png, "Inference results"))
	if err := tensorboard.AddImage(exp, "Samples/validation", state.Epoch, png); err != nil {
		cell.Say("⚠️  They are not in TensorBoard: %v", err)
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
		level, err := patches.Patch(0, index, degraded, clean)
		if err != nil {
			return nil, err
		}
		at := r
		if r.TakesLevel() {
			at, err = r.At(level)
		}
		if err != nil {
			return nil, err
		}
		images := [3]*rgb.Image{rgb.FromPlanes(degraded, side, side), nil, rgb.FromPlanes(clean, side, side)}
		if images[1], err = at.RGB(ctx, images[0], options); err != nil {
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

// Export writes the best weights of the current experiment for other programs,
// as "onnx" or "safetensors", into its folder export.
func Export(cfg config.Config, format string) {
	exp := notebook.Experiment(cfg)
	ctx, check, stop := heavy("Export interrupted; nothing half-written is left, so run the cell again when you like")
	defer stop()
	made, err := interrupt.AtOnce(ctx, func() (*export.Exported, error) { return export.Experiment(exp, format, "", cell.Warn) })
	check(err)
	cell.Say("✅ %s exported to %s: %s", made.From, cell.Short(made.Path), made.About)
}
