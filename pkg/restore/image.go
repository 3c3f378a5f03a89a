package restore

import (
	"context"
	"fmt"

	"rekindle/pkg/backend"
	"rekindle/pkg/model"
	"rekindle/pkg/rgb"
)

// Options say how a picture is cut into tiles and what is done to it besides. A
// picture smaller than a tile is restored in one piece.
type Options struct {
	TileSize  int // side in pixels, at least [model.MinSide]
	Overlap   int // pixels that neighbouring tiles share at least, less than TileSize
	BatchSize int // tiles computed at once; 0: 4

	// Margin is how many pixels of reflection are put around the picture and cut
	// off again. Beyond an image the network sees zeros, so what it makes of the
	// outermost pixels is worse than the rest; with a margin these lie inside.
	Margin int

	// SelfEnsemble restores the picture in all eight ways of turning and
	// mirroring it and takes the mean (Timofte et al., "Seven Ways to Improve
	// Example-Based Single Image Super Resolution", CVPR 2016). It takes eight
	// times as long.
	SelfEnsemble bool
}

// Margin is a good one for [Options.Margin]. As the networks pool four times by
// two, a multiple of 16 keeps the pools where they lie without a margin.
const Margin = 16

func (o Options) check() error {
	switch {
	case o.TileSize < model.MinSide:
		return fmt.Errorf("restore: TileSize is %d; it must be at least %d", o.TileSize, model.MinSide)
	case o.Overlap < 0 || o.Overlap >= o.TileSize:
		return fmt.Errorf("restore: Overlap is %d; it must be at least 0 and less than TileSize (%d)", o.Overlap, o.TileSize)
	case o.BatchSize < 0:
		return fmt.Errorf("restore: BatchSize is %d; it must not be negative", o.BatchSize)
	case o.Margin < 0:
		return fmt.Errorf("restore: Margin is %d; it must not be negative", o.Margin)
	}
	return nil
}

// RGB restores a picture of any size. Beside the two pictures it needs memory
// for one batch and for one row of tiles, however high the picture is; with
// SelfEnsemble also 12 bytes for each pixel. Between batches it looks whether
// ctx has ended, and returns ctx's error then.
func (r *Restorer) RGB(ctx context.Context, im *rgb.Image, o Options) (*rgb.Image, error) {
	if im.W < 1 || im.H < 1 {
		return nil, fmt.Errorf("restore: the picture has no pixels (%dx%d)", im.W, im.H)
	}
	at := func(c, y, x int) float32 { return rgb.Levels[im.Pix[3*(y*im.W+x)+c]] }
	if o.SelfEnsemble {
		mean, err := r.mean(ctx, 3, im.H, im.W, at, o)
		if err != nil {
			return nil, err
		}
		return rgb.FromPlanes(mean, im.W, im.H), nil
	}
	out := rgb.New(im.W, im.H)
	put := func(c, y, x int, value float32) { out.Pix[3*(y*im.W+x)+c] = rgb.Level(value) }
	if err := r.restore(ctx, view{h: im.H, w: im.W, margin: o.Margin}, 3, at, put, o); err != nil {
		return nil, err
	}
	return out, nil
}

// Planes restores an image [3, h, w] or, grey, [1, h, w] of values in [-1, 1], of
// any size. The result may leave that range.
func (r *Restorer) Planes(ctx context.Context, image []float32, h, w int, o Options) ([]float32, error) {
	if h < 1 || w < 1 || len(image) != 3*h*w && len(image) != h*w {
		return nil, fmt.Errorf("restore: %d numbers are no image of 3x%dx%d or 1x%dx%d", len(image), h, w, h, w)
	}
	colours := len(image) / (h * w)
	at := func(c, y, x int) float32 { return image[(c*h+y)*w+x] }
	if o.SelfEnsemble {
		return r.mean(ctx, colours, h, w, at, o)
	}
	out := make([]float32, len(image))
	put := func(c, y, x int, value float32) { out[(c*h+y)*w+x] = value }
	if err := r.restore(ctx, view{h: h, w: w, margin: o.Margin}, colours, at, put, o); err != nil {
		return nil, err
	}
	return out, nil
}

// mean is the mean of the restorations of all eight views, each laid back.
func (r *Restorer) mean(ctx context.Context, colours, h, w int, at func(c, y, x int) float32, o Options) ([]float32, error) {
	sum := make([]float32, colours*h*w)
	put := func(c, y, x int, value float32) { sum[(c*h+y)*w+x] += value }
	for turn := range symmetries {
		if err := r.restore(ctx, view{h, w, turn, o.Margin}, colours, at, put, o); err != nil {
			return nil, err
		}
	}
	for i := range sum {
		sum[i] /= symmetries
	}
	return sum, nil
}

// restore restores one view of an image. at reads the image and put takes the
// result, both at the image's own rows and columns, of so many colours.
func (r *Restorer) restore(ctx context.Context, v view, colours int, at func(c, y, x int) float32, put func(c, y, x int, value float32), o Options) error {
	t := tiling{options: o, batch: r.Batch, planes: r.planes(colours)}
	t.h, t.w = v.framed()
	plane := func(c int) int { return c } // of the network, for a colour
	if r.blueFirst && colours == 3 {
		plane = func(c int) int { return 2 - c }
	}
	t.cut = func(dst []float32, y, x, h, w int) {
		for i := range h {
			for j := range w {
				sy, sx := v.source(y+i, x+j)
				for c := range t.planes {
					dst[(c*h+i)*w+j] = at(min(plane(c), colours-1), sy, sx)
				}
			}
		}
	}
	t.emit = func(y, n int, rows []float32) {
		for i := range n {
			for j := range t.w {
				if !v.inside(y+i, j) {
					continue
				}
				sy, sx := v.source(y+i, j)
				value := func(c int) float32 { return rows[(c*n+i)*t.w+j] }
				if colours < t.planes {
					put(0, sy, sx, (value(0)+value(1)+value(2))/3)
					continue
				}
				for c := range colours {
					put(c, sy, sx, value(plane(c)))
				}
			}
		}
	}
	defer backend.LimitGarbage(r.engine)()
	return t.run(ctx)
}
