package notebook

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rekindle/pkg/config"
	"rekindle/pkg/durable"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/plots"
	"rekindle/pkg/rgb"
)

// Picture shows a PNG picture under the cell and saves it at path, making its
// folder if need be. what names it in the line that says so; "" for no line. Where
// path may only be read the picture is shown all the same.
func Picture(path string, png []byte, what string) error {
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	cell.ShowPNG(png, capital(strings.ReplaceAll(name, "_", " ")))
	err := os.MkdirAll(filepath.Dir(path), 0o777)
	if err == nil {
		err = durable.WriteFile(path, png)
	}
	switch {
	case durable.MayOnlyRead(err):
		cell.Say("ℹ️  Shown, but not saved to %s, which may only be read", cell.Short(path))
		return nil
	case err == nil && what != "":
		cell.Say("✅ %s saved to %s", what, cell.Short(path))
	}
	return err
}

// capital is a text with its first letter, a Latin one, in upper case.
func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// ShowSamples shows four training patches, degraded and clean, as the network
// will see them in the first epoch.
func ShowSamples(cfg config.Config) {
	cell.Check(showSamples(cfg))
}

func showSamples(cfg config.Config) error {
	exp, err := current(cfg)
	if err != nil {
		return err
	}
	d, err := lookAtData(cfg, nil)
	if err != nil {
		return err
	}
	const samples = 4
	n := min(samples, d.Train.Len())
	side := cfg.PatchSize
	degraded, clean := make([]float32, 3*side*side), make([]float32, 3*side*side)
	rows := []plots.Row{{}, {}}
	for i := range n {
		if _, err := d.Train.Patch(1, i, degraded, clean); err != nil {
			return err
		}
		if i == 0 {
			cell.Say("   One patch: %d channels, %d x %d pixels, values from %.3f to %.3f", 3, side, side, slices.Min(degraded), slices.Max(degraded))
		}
		rows[0].Images = append(rows[0].Images, rgb.FromPlanes(degraded, side, side))
		rows[0].Titles = append(rows[0].Titles, "Degraded")
		rows[1].Images = append(rows[1].Images, rgb.FromPlanes(clean, side, side))
		rows[1].Titles = append(rows[1].Titles, "Clean target")
	}
	png, err := plots.Grid(fmt.Sprintf("Training patches, %s", cfg.Degradation), rows)
	if err != nil {
		return err
	}
	path := filepath.Join(exp.SamplesDir(), "training_samples.png")
	return Picture(path, png, "Sample batch")
}
