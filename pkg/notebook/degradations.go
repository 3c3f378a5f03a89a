package notebook

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"rekindle/pkg/config"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/metrics"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/plots"
	"rekindle/pkg/rgb"
)

// Degradations are the strengths of a degradation, for ShowDegradation.
type Degradations = degrade.Settings

// ShowDegradation shows a picture as it is and spoiled in several strengths,
// with their PSNR, and below each its middle enlarged: the first validation
// photograph there is, else one that is drawn.
func ShowDegradation(name string, strengths ...Degradations) {
	png, err := degradedGrid(name, strengths)
	cell.Check(err)
	cell.ShowPNG(png, "A picture and its middle, clean and with "+strings.ReplaceAll(name, "_", " ")+" in several strengths")
}

// ShowDegradations shows every degradation in its usual strength, under the name
// of its folder.
func ShowDegradations() {
	png, err := degradationSheet()
	cell.Check(err)
	cell.ShowPNG(png, "A picture with every degradation in its usual strength")
}

const (
	exampleSide = 240 // how large the example is shown, pixels
	detailSide  = 48  // of its middle, five times as large
	sheetSide   = 150 // in the sheet of all
)

func degradedGrid(name string, strengths []Degradations) ([]byte, error) {
	im, err := example(exampleSide)
	if err != nil {
		return nil, err
	}
	rows := []plots.Row{
		{Images: []*rgb.Image{im}, Titles: []string{"Clean"}},
		{Images: []*rgb.Image{middle(im, detailSide)}, Titles: []string{"Its middle, enlarged"}},
	}
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
		rows[0].Images = append(rows[0].Images, spoiled)
		rows[0].Titles = append(rows[0].Titles, fmt.Sprintf("%s, %.1f dB", filepath.Base(d.Name()), score.PSNR))
		rows[1].Images = append(rows[1].Images, middle(spoiled, detailSide))
	}
	return plots.Grid(name, rows)
}

func degradationSheet() ([]byte, error) {
	im, err := example(sheetSide)
	if err != nil {
		return nil, err
	}
	images, titles := []*rgb.Image{im}, []string{"Clean"}
	for _, name := range degrade.Names() {
		cfg := config.Default()
		cfg.Degradation = name
		d, err := cfg.NewDegradation()
		if err != nil {
			return nil, err
		}
		images = append(images, d.Apply(im, degrade.Source(1, "example")))
		titles = append(titles, name+"\n"+filepath.Base(d.Name()))
	}
	const columns = 6
	var rows []plots.Row
	for i := 0; i < len(images); i += columns {
		end := min(i+columns, len(images))
		rows = append(rows, plots.Row{Images: images[i:end], Titles: titles[i:end]})
	}
	return plots.Grid("", rows)
}

// example is at most side pixels wide and high.
func example(side int) (*rgb.Image, error) {
	dir := config.Default().ValCleanDir
	names, err := rgb.List(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
		const calm = 6 // a picture with areas large enough to see what happens to them
		return middle(deadleaves.Image(exampleSide, exampleSide, rand.New(rand.NewPCG(calm, 0))), side), nil
	}
	if err != nil {
		return nil, err
	}
	im, err := rgb.Load(filepath.Join(dir, names[0]))
	if err != nil {
		return nil, err
	}
	return middle(im, side), nil
}

// middle cuts out the middle, or what there is of it.
func middle(im *rgb.Image, side int) *rgb.Image {
	w, h := min(side, im.W), min(side, im.H)
	return im.Crop((im.W-w)/2, (im.H-h)/2, w, h)
}
