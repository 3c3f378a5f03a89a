package notebook

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"

	"rekindle/pkg/config"
	"rekindle/pkg/dataset/leaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/metrics"
	"rekindle/pkg/plots"
	"rekindle/pkg/rgb"
)

// Degradations are the strengths of a degradation, for ShowDegradation.
type Degradations = degrade.Settings

// ShowDegradation shows a picture as it is and spoiled in several strengths,
// with their PSNR: the first validation photograph there is, else one that is
// drawn.
func ShowDegradation(name string, strengths ...Degradations) {
	png, err := degradedGrid(name, strengths)
	Check(err)
	showPNG(png)
}

func degradedGrid(name string, strengths []Degradations) ([]byte, error) {
	im, err := example()
	if err != nil {
		return nil, err
	}
	row := plots.Row{Images: []*rgb.Image{im}, Titles: []string{"Clean"}}
	for _, s := range strengths {
		d, err := degrade.New(name, s)
		if err != nil {
			return nil, err
		}
		spoiled := d.Apply(im, degrade.Source(1, "example"))
		score, err := metrics.Compare(spoiled, im)
		if err != nil {
			return nil, err
		}
		row.Images = append(row.Images, spoiled)
		row.Titles = append(row.Titles, fmt.Sprintf("%s, %.1f dB", filepath.Base(d.Name()), score.PSNR))
	}
	return plots.Grid(name, []plots.Row{row})
}

// exampleSide is how large the example is shown, in pixels.
const exampleSide = 192

func example() (*rgb.Image, error) {
	dir := config.Default().ValCleanDir
	names, err := rgb.List(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
		return leaves.Image(exampleSide, exampleSide, rand.New(rand.NewPCG(3, 0))), nil
	}
	if err != nil {
		return nil, err
	}
	im, err := rgb.Load(filepath.Join(dir, names[0]))
	if err != nil {
		return nil, err
	}
	w, h := min(exampleSide, im.W), min(exampleSide, im.H)
	return im.Crop((im.W-w)/2, (im.H-h)/2, w, h), nil
}
