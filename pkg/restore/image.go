package restore

import (
	"context"
	"fmt"

	"rekindle/pkg/model"
	"rekindle/pkg/rgb"
)

// Options say how a picture is cut into tiles. A picture smaller than a tile is
// restored in one piece.
type Options struct {
	TileSize  int // side in pixels, at least [model.MinSide]
	Overlap   int // pixels that neighbouring tiles share at least, less than TileSize
	BatchSize int // tiles computed at once; 0: 4
}

func (o Options) check() error {
	switch {
	case o.TileSize < model.MinSide:
		return fmt.Errorf("restore: TileSize is %d; it must be at least %d", o.TileSize, model.MinSide)
	case o.Overlap < 0 || o.Overlap >= o.TileSize:
		return fmt.Errorf("restore: Overlap is %d; it must be at least 0 and less than TileSize (%d)", o.Overlap, o.TileSize)
	case o.BatchSize < 0:
		return fmt.Errorf("restore: BatchSize is %d; it must not be negative", o.BatchSize)
	}
	return nil
}

// Image restores a picture of any size. Beside the two pictures it needs memory
// for one batch and for one row of tiles, however high the picture is. Between
// batches it looks whether ctx has ended, and returns ctx's error then.
func (r *Restorer) Image(ctx context.Context, im *rgb.Image, o Options) (*rgb.Image, error) {
	if im.W < 1 || im.H < 1 {
		return nil, fmt.Errorf("restore: the picture has no pixels (%dx%d)", im.W, im.H)
	}
	if im.W < model.MinSide || im.H < model.MinSide {
		planes := make([]float32, 3*im.W*im.H)
		im.Planes(planes)
		out, err := r.Planes(ctx, planes, im.H, im.W, o)
		if err != nil {
			return nil, err
		}
		return rgb.FromPlanes(out, im.W, im.H), nil
	}
	out := rgb.New(im.W, im.H)
	t := tiling{h: im.H, w: im.W, options: o, batch: r.Batch}
	t.cut = func(dst []float32, y, x, h, w int) { im.Crop(x, y, w, h).Planes(dst) }
	t.emit = func(y, n int, rows []float32) {
		copy(out.Pix[3*y*im.W:], rgb.FromPlanes(rows, im.W, n).Pix)
	}
	if err := t.run(ctx); err != nil {
		return nil, err
	}
	return out, nil
}

// Planes restores an image [3, h, w] of values in [-1, 1], of any size. The
// result may leave that range. An image too small for any network is extended
// by reflection and cut back.
func (r *Restorer) Planes(ctx context.Context, image []float32, h, w int, o Options) ([]float32, error) {
	if h < 1 || w < 1 || len(image) != 3*h*w {
		return nil, fmt.Errorf("restore: %d numbers are no image of 3x%dx%d", len(image), h, w)
	}
	if h < model.MinSide || w < model.MinSide {
		ph, pw := max(h, model.MinSide), max(w, model.MinSide)
		out, err := r.Planes(ctx, extend(image, h, w, ph, pw), ph, pw, o)
		if err != nil {
			return nil, err
		}
		small := make([]float32, len(image))
		crop(small, out, ph, pw, 0, 0, h, w)
		return small, nil
	}
	out := make([]float32, len(image))
	t := tiling{h: h, w: w, options: o, batch: r.Batch}
	t.cut = func(dst []float32, y, x, th, tw int) { crop(dst, image, h, w, y, x, th, tw) }
	t.emit = func(y, n int, rows []float32) {
		for c := range 3 {
			copy(out[(c*h+y)*w:], rows[c*n*w:(c+1)*n*w])
		}
	}
	if err := t.run(ctx); err != nil {
		return nil, err
	}
	return out, nil
}

// crop copies the rectangle [3, th, tw] at row y, column x of an image [3, h, w].
func crop(dst, image []float32, h, w, y, x, th, tw int) {
	for c := range 3 {
		for r := range th {
			at := (c*h+y+r)*w + x
			copy(dst[(c*th+r)*tw:(c*th+r+1)*tw], image[at:at+tw])
		}
	}
}

// extend reflects an image at its lower and right borders.
func extend(image []float32, h, w, ph, pw int) []float32 {
	out := make([]float32, 3*ph*pw)
	for c := range 3 {
		for y := range ph {
			for x := range pw {
				out[(c*ph+y)*pw+x] = image[(c*h+reflect(y, h))*w+reflect(x, w)]
			}
		}
	}
	return out
}

// reflect folds i into 0..n-1 without repeating the edge.
func reflect(i, n int) int {
	if n == 1 {
		return 0
	}
	i %= 2 * (n - 1)
	return min(i, 2*(n-1)-i)
}
