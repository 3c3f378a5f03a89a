package restore

import (
	"context"
	"errors"
	"math"
)

// errNotFinite is returned when a network's output holds NaN or infinities: its
// training diverged or its weights are damaged.
var errNotFinite = errors.New("restore: the network's output is not finite; its weights are unusable (did its training diverge?)")

// tiling restores an image of h by w, sides that the network takes, tile by
// tile. Tiles overlap and are blended with weights that fall towards their
// edges but are nowhere zero, and that add up to 1 in each pixel, so that the
// image's own border comes out as exactly as the rest.
type tiling struct {
	h, w    int
	planes  int // channels of patches and rows
	options Options
	batch   func(ctx context.Context, patches []float32, n, h, w int) ([]float32, error)
	cut     func(dst []float32, y, x, h, w int) // reads the rectangle [planes, h, w] at row y, column x
	emit    func(y, n int, rows []float32)      // takes n finished rows [planes, n, w] from row y on
}

func (t tiling) run(ctx context.Context) error {
	if err := t.options.check(); err != nil {
		return err
	}
	ys, th := starts(t.h, t.options.TileSize, t.options.Overlap)
	xs, tw := starts(t.w, t.options.TileSize, t.options.Overlap)
	down, across := blend(ys, th, t.h), blend(xs, tw, t.w)
	perBatch := t.options.BatchSize
	if perBatch == 0 {
		perBatch = 4 // enough to fill the cores on the Go engine, little memory
	}
	tiles, size := len(ys)*len(xs), t.planes*th*tw
	perBatch = min(perBatch, tiles)

	s := strip{rows: th, w: t.w, planes: t.planes, sum: make([]float32, t.planes*th*t.w), emit: t.emit}
	patches := make([]float32, perBatch*size)
	for first := 0; first < tiles; first += perBatch {
		n := min(perBatch, tiles-first)
		for i := range n {
			at := first + i
			t.cut(patches[i*size:(i+1)*size], ys[at/len(xs)], xs[at%len(xs)], th, tw)
		}
		// The last batch keeps old tiles at its end: another shape would be compiled anew.
		out, err := t.batch(ctx, patches, perBatch, th, tw)
		if err != nil {
			return err
		}
		if !finite(out[:n*size]) {
			return errNotFinite
		}
		for i := range n {
			row, column := (first+i)/len(xs), (first+i)%len(xs)
			s.advance(ys[row])
			s.add(out[i*size:(i+1)*size], xs[column], down[row], across[column])
		}
	}
	s.advance(t.h)
	return nil
}

// strip is the rows of the image that the present row of tiles touches.
type strip struct {
	y, rows, w, planes int
	sum                []float32 // [planes, rows, w]
	emit               func(y, n int, rows []float32)
}

// add adds a tile [planes, rows, tw] at column x, times its weights.
func (s *strip) add(tile []float32, x int, down, across []float32) {
	tw := len(across)
	for i := range s.planes * s.rows {
		to, from, weight := s.sum[i*s.w+x:i*s.w+x+tw], tile[i*tw:(i+1)*tw], down[i%s.rows]
		for k, v := range from {
			to[k] += weight * across[k] * v
		}
	}
}

// advance moves down to begin at row y: no tile will touch the rows above any more.
func (s *strip) advance(y int) {
	n := min(y-s.y, s.rows)
	if n == 0 {
		return
	}
	done := make([]float32, s.planes*n*s.w)
	for c := range s.planes {
		plane := s.sum[c*s.rows*s.w : (c+1)*s.rows*s.w]
		copy(done[c*n*s.w:], plane[:n*s.w])
		copy(plane, plane[n*s.w:])
		clear(plane[len(plane)-n*s.w:])
	}
	s.emit(s.y, n, done)
	s.y = y
}

// starts are where tiles begin along a side, and how long they are. The last
// one is moved back to fit.
func starts(side, tile, overlap int) (at []int, length int) {
	length = min(tile, side)
	for from := 0; ; from += max(1, length-overlap) {
		if from+length >= side {
			return append(at, side-length), length
		}
		at = append(at, from)
	}
}

// blend gives the weights of each tile along a side: those of the window,
// divided by what the windows of all tiles add up to. As the weight of a tile's
// pixel is the product of two such weights, they add up to 1 in two dimensions.
func blend(starts []int, length, side int) [][]float32 {
	w := window(length)
	total := make([]float64, side)
	for _, at := range starts {
		for i, v := range w {
			total[at+i] += v
		}
	}
	weights := make([][]float32, len(starts))
	for k, at := range starts {
		for i, v := range w {
			weights[k] = append(weights[k], float32(v/total[at+i]))
		}
	}
	return weights
}

// window is a symmetric Hann window of n+2 points without the two zeros at its
// ends. With them (as in torch.hann_window, which has one) the pixels at the
// image's border would have no weight at all.
func window(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i+1)/float64(n+1))
	}
	return w
}
