// Package restore applies a trained network: to batches of patches, and to whole
// pictures of any size by overlapping tiles.
//
//	r, err := restore.New(engine, net, weights)
//	clean, err := r.Image(ctx, degraded, restore.Options{TileSize: 128, Overlap: 32, BatchSize: 8})
package restore

import (
	"context"
	"fmt"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/model"
	"rekindle/pkg/nn"
	"rekindle/pkg/rgb"
)

// Restorer holds a network with its weights on the device.
type Restorer struct {
	net     *model.Network
	names   []string
	weights []any // tensors, in the order of names
	exec    *graph.Exec
}

// Options say how a picture is cut into tiles.
type Options struct {
	TileSize  int // side in pixels, at least 16
	Overlap   int // pixels that neighbouring tiles share, less than TileSize
	BatchSize int // tiles computed at once; 0: 4
}

// New prepares a network. values holds every weight and running statistic by
// PyTorch's name, in PyTorch's layout.
func New(engine compute.Backend, net *model.Network, values map[string][]float32) (*Restorer, error) {
	r := &Restorer{net: net}
	for _, e := range net.Entries() {
		if e.Role == nn.Counter {
			continue
		}
		v, ok := values[e.Name]
		size := 1
		for _, d := range e.Shape {
			size *= d
		}
		if !ok || len(v) != size {
			return nil, fmt.Errorf("restore: the weights hold %d numbers for %s, %s needs %d", len(v), e.Name, net.Name, size)
		}
		r.names = append(r.names, e.Name)
		r.weights = append(r.weights, tensors.FromFlatDataAndDimensions(v, e.Shape...))
	}
	var err error
	r.exec, err = graph.NewExec(engine, func(in []*graph.Node) []*graph.Node {
		byName := map[string]*graph.Node{}
		for i, name := range r.names {
			byName[name] = in[1+i]
		}
		return []*graph.Node{net.Forward(nn.NewScope(in[0].Graph(), false, byName), in[0])}
	})
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	return r, nil
}

// Batch restores n patches [n, 3, h, w] in [-1, 1]; the result may leave the range.
func (r *Restorer) Batch(ctx context.Context, patches []float32, n, h, w int) (out []float32, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(patches) != n*3*h*w || h < model.MinSide || w < model.MinSide {
		return nil, fmt.Errorf("restore: a batch of %d patches of 3x%dx%d in %d numbers; sides must be at least %d", n, h, w, len(patches), model.MinSide)
	}
	defer func() {
		if p := recover(); p != nil { // GoMLX panics
			err = fmt.Errorf("restore: %v", p)
		}
	}()
	x := tensors.FromFlatDataAndDimensions(patches, n, 3, h, w)
	defer x.FinalizeAll()
	results, err := r.exec.Exec(append([]any{x}, r.weights...)...)
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	defer results[0].FinalizeAll()
	return tensors.MustCopyFlatData[float32](results[0]), nil
}

// Image restores a picture of any size.
func (r *Restorer) Image(ctx context.Context, im *rgb.Image, o Options) (*rgb.Image, error) {
	planes := make([]float32, 3*im.W*im.H)
	im.Planes(planes)
	out, err := r.Planes(ctx, planes, im.H, im.W, o)
	if err != nil {
		return nil, err
	}
	return rgb.FromPlanes(out, im.W, im.H), nil
}

// Planes restores an image [3, h, w] in [-1, 1]. Tiles are weighted by a window
// that falls towards their edges, and the sum is divided by the sum of weights,
// which is nowhere zero: the image's own border comes out exactly.
func (r *Restorer) Planes(ctx context.Context, image []float32, h, w int, o Options) ([]float32, error) {
	if o.BatchSize <= 0 {
		o.BatchSize = 4
	}
	switch {
	case len(image) != 3*h*w || h < 1 || w < 1:
		return nil, fmt.Errorf("restore: %d numbers are no image of 3x%dx%d", len(image), h, w)
	case o.TileSize < model.MinSide:
		return nil, fmt.Errorf("restore: TileSize is %d; it must be at least %d", o.TileSize, model.MinSide)
	case o.Overlap < 0 || o.Overlap >= o.TileSize:
		return nil, fmt.Errorf("restore: Overlap is %d; it must be at least 0 and less than TileSize (%d)", o.Overlap, o.TileSize)
	}
	if h < model.MinSide || w < model.MinSide {
		return r.small(ctx, image, h, w, o)
	}
	th, tw := min(o.TileSize, h), min(o.TileSize, w)
	windowY, windowX := window(th), window(tw)
	sum, weight := make([]float32, len(image)), make([]float32, h*w)
	type place struct{ y, x int }
	var places []place
	for _, y := range starts(h, th, o.Overlap) {
		for _, x := range starts(w, tw, o.Overlap) {
			places = append(places, place{y, x})
		}
	}
	size := 3 * th * tw
	n := min(o.BatchSize, len(places))
	batch := make([]float32, n*size)
	for len(places) > 0 {
		now := places[:min(n, len(places))]
		places = places[len(now):]
		for i, p := range now {
			cut(batch[i*size:], image, h, w, p.y, p.x, th, tw)
		}
		// The last batch keeps stale tiles at its end instead of being compiled anew.
		out, err := r.Batch(ctx, batch, n, th, tw)
		if err != nil {
			return nil, err
		}
		for i, p := range now {
			for y := range th {
				for x := range tw {
					v := windowY[y] * windowX[x]
					at := (p.y+y)*w + p.x + x
					weight[at] += v
					for c := range 3 {
						sum[c*h*w+at] += v * out[i*size+(c*th+y)*tw+x]
					}
				}
			}
		}
	}
	for c := range 3 {
		for i, v := range weight {
			sum[c*h*w+i] /= v
		}
	}
	return sum, nil
}

// small reflects an image that no network takes until it is large enough.
func (r *Restorer) small(ctx context.Context, image []float32, h, w int, o Options) ([]float32, error) {
	ph, pw := max(h, model.MinSide), max(w, model.MinSide)
	padded := make([]float32, 3*ph*pw)
	for c := range 3 {
		for y := range ph {
			for x := range pw {
				padded[(c*ph+y)*pw+x] = image[(c*h+reflect(y, h))*w+reflect(x, w)]
			}
		}
	}
	out, err := r.Planes(ctx, padded, ph, pw, o)
	if err != nil {
		return nil, err
	}
	cropped := make([]float32, len(image))
	cut(cropped, out, ph, pw, 0, 0, h, w)
	return cropped, nil
}

// reflect folds i into 0..n-1 without repeating the edge.
func reflect(i, n int) int {
	if n == 1 {
		return 0
	}
	i %= 2 * (n - 1)
	return min(i, 2*(n-1)-i)
}

// cut copies a window of an image [3, h, w].
func cut(to, from []float32, h, w, y, x, th, tw int) {
	for c := range 3 {
		for r := range th {
			at := (c*h+y+r)*w + x
			copy(to[(c*th+r)*tw:(c*th+r)*tw+tw], from[at:at+tw])
		}
	}
}

// starts are where tiles begin along a side; the last one is moved back to fit.
func starts(side, tile, overlap int) []int {
	var list []int
	for at := 0; ; at += max(1, tile-overlap) {
		if at+tile >= side {
			return append(list, side-tile)
		}
		list = append(list, at)
	}
}

// window is a Hann window without its zeros: n of n+2 points.
func window(n int) []float32 {
	w := make([]float32, n)
	for i := range w {
		w[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*float64(i+1)/float64(n+1)))
	}
	return w
}
