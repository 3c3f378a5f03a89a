package notebook

import (
	"fmt"

	"rekindle/pkg/metrics"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/plots"
	"rekindle/pkg/rgb"
)

// placeSide is the side of a place that is shown at full size, in pixels: three
// of them beside each other are as wide as a notebook's page.
const placeSide = 160

// withPlace makes two rows: the whole pictures, with a frame around a place of
// theirs, and that place. Small pictures are a place of their own.
func withPlace(images []*rgb.Image, titles []string, place func(degraded, restored, clean *rgb.Image) (x, y, w, h int)) []plots.Row {
	whole := plots.Row{Images: images, Titles: titles}
	degraded, restored, clean := images[0], images[1], images[2]
	sameSize := degraded.W == clean.W && degraded.H == clean.H && restored.W == clean.W && restored.H == clean.H
	if !sameSize || clean.W <= placeSide && clean.H <= placeSide {
		return []plots.Row{whole}
	}
	x, y, w, h := place(degraded, restored, clean)
	framed, cut := plots.Row{Titles: titles}, plots.Row{}
	for i, im := range images {
		framed.Images = append(framed.Images, withFrame(im, x, y, w, h))
		part := im.Crop(x, y, w, h)
		cut.Images = append(cut.Images, part)
		title := "The place in the frame"
		if s, err := metrics.Compare(part, clean.Crop(x, y, w, h)); err == nil && i < 2 {
			title = fmt.Sprintf("there %.2f dB", s.PSNR)
		}
		cut.Titles = append(cut.Titles, title)
	}
	return []plots.Row{framed, cut}
}

// withFrame copies a picture with a frame around a rectangle of it, wide enough
// to be seen when the picture is made small.
func withFrame(im *rgb.Image, x, y, w, h int) *rgb.Image {
	out := im.Crop(0, 0, im.W, im.H)
	thick := max(2, max(im.W, im.H)/160)
	for row := max(0, y-thick); row < min(im.H, y+h+thick); row++ {
		for column := max(0, x-thick); column < min(im.W, x+w+thick); column++ {
			if row >= y && row < y+h && column >= x && column < x+w {
				continue
			}
			copy(out.Pix[3*(row*im.W+column):], []uint8{0xff, 0xd4, 0x00})
		}
	}
	return out
}

// mostLeft is the place where the restored picture is farthest from the clean one.
func mostLeft(_, restored, clean *rgb.Image) (x, y, w, h int) {
	return greatest(clean, func(i int) int64 { return squared(restored.Pix[i], clean.Pix[i]) })
}

// mostGained is the place where restoring took away most of the error.
func mostGained(degraded, restored, clean *rgb.Image) (x, y, w, h int) {
	return greatest(clean, func(i int) int64 {
		return squared(degraded.Pix[i], clean.Pix[i]) - squared(restored.Pix[i], clean.Pix[i])
	})
}

func squared(a, b uint8) int64 {
	d := int64(a) - int64(b)
	return d * d
}

// greatest finds the place of at most placeSide pixels a side where the sum of a
// value over its pixels and channels is greatest, to an eighth of its side. value
// is asked for index i of Pix.
func greatest(im *rgb.Image, value func(i int) int64) (x, y, w, h int) {
	const step = placeSide / 8
	w, h = min(placeSide, im.W), min(placeSide, im.H)
	// sums[j][i] adds up all rows above j*step and columns left of i*step.
	down, across := im.H/step, im.W/step
	sums := make([][]int64, down+1)
	for j := range sums {
		sums[j] = make([]int64, across+1)
	}
	for row := range down * step {
		for column := range across * step {
			at := 3 * (row*im.W + column)
			sums[row/step+1][column/step+1] += value(at) + value(at+1) + value(at+2)
		}
	}
	for j := 1; j <= down; j++ {
		for i := 1; i <= across; i++ {
			sums[j][i] += sums[j-1][i] + sums[j][i-1] - sums[j-1][i-1]
		}
	}
	best, tall, wide := int64(0), h/step, w/step
	for j := 0; j+tall <= down; j++ {
		for i := 0; i+wide <= across; i++ {
			sum := sums[j+tall][i+wide] - sums[j][i+wide] - sums[j+tall][i] + sums[j][i]
			if i == 0 && j == 0 || sum > best {
				best, x, y = sum, i*step, j*step
			}
		}
	}
	return x, y, w, h
}

// ShowRestored shows a picture before and after restoring; one that is wider than
// the page also at full size, where most was changed.
func ShowRestored(name string, before, after *rgb.Image) error {
	if err := cell.BeforeAfter(name, before.ToImage(), after.ToImage()); err != nil || before.W <= cell.PageWidth {
		return err
	}
	x, y, w, h := mostLeft(nil, after, before)
	return cell.BeforeAfter(name+", a part of it", before.Crop(x, y, w, h).ToImage(), after.Crop(x, y, w, h).ToImage())
}
