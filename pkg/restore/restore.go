// Package restore applies a trained network to pictures of any size, to batches
// of patches, and to a set of pictures that it scores.
//
//	r, err := restore.Open("best_model.pth")
//	clean, err := r.Image(ctx, degraded)
//
// What GoMLX throws while it compiles or computes comes back as an error.
package restore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
	"rekindle/pkg/model"
	"rekindle/pkg/nn"
)

// Restorer holds a network with its weights on the device. Any number of
// goroutines may use it; they take turns, batch by batch, as each keeps the whole
// device busy.
type Restorer struct {
	// About says where the weights are from, for people.
	About About

	*loaded
	level     *float64 // of the noise, that the network is told; nil: see At
	blueFirst bool     // see [Opening]
}

// loaded is what Restorers of one network share.
type loaded struct {
	mu      sync.Mutex
	engine  compute.Backend
	net     *model.Network
	names   []string
	weights []any // tensors, in the order of names

	patches, tiles compiled // the same network, for patches and for tiles of something larger
}

// compiled is a network compiled for some shapes.
type compiled struct {
	tiled  bool
	exec   *graph.Exec
	shapes map[[3]int]bool // n, h, w
}

// maxShapes is how many batch shapes stay compiled. Pictures smaller than a tile
// have a shape each; a folder of them must not fill the memory (and GoMLX
// refuses more than 32).
const maxShapes = 16

// New prepares a network. values holds every weight and running statistic by
// PyTorch's name, in PyTorch's layout; more than the network has is no harm. Missing
// ones, and ones of another size, are an error that names them.
func New(engine compute.Backend, net *model.Network, values map[string][]float32) (r *Restorer, err error) {
	defer backend.Catch(&err)
	r = &Restorer{loaded: &loaded{engine: engine, net: net, tiles: compiled{tiled: true}}}
	for _, e := range net.Entries() {
		if e.Role == nn.Counter {
			continue
		}
		v, ok := values[e.Name]
		size := 1
		for _, d := range e.Shape {
			size *= d
		}
		if !ok {
			return nil, fmt.Errorf("restore: the weights have no %s, which %s needs; they belong to another network", e.Name, net.Name)
		}
		if len(v) != size {
			return nil, fmt.Errorf("restore: the weights hold %d numbers for %s, but %s with Features %d needs %d", len(v), e.Name, net.Name, net.Options.Features, size)
		}
		r.names = append(r.names, e.Name)
		r.weights = append(r.weights, tensors.FromFlatDataAndDimensions(v, e.Shape...))
	}
	return r, errors.Join(r.reset(&r.patches), r.reset(&r.tiles))
}

// reset forgets what is compiled.
func (r *loaded) reset(c *compiled) error {
	if c.exec != nil {
		c.exec.Finalize()
	}
	exec, err := graph.NewExec(r.engine, func(in []*graph.Node) []*graph.Node {
		byName := map[string]*graph.Node{}
		var sigma *graph.Node
		given := in[1:]
		if r.net.TakesSigma() {
			sigma, given = given[0], given[1:]
		}
		for i, name := range r.names {
			byName[name] = given[i]
		}
		scope := nn.NewScope(in[0].Graph(), false, byName)
		if c.tiled {
			scope = scope.Tiled()
		}
		return []*graph.Node{r.net.Forward(scope, in[0], sigma)}
	})
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	c.exec, c.shapes = exec, map[[3]int]bool{}
	return nil
}

// Batch restores n patches [n, 3, h, w] in [-1, 1], sides of at least
// [model.MinSide]. The result has the same shape and may leave the range. Each
// new shape is compiled once. When ctx has ended, its error is returned.
//
// A network for grey pictures restores each colour by itself; it takes patches
// [n, 1, h, w] as well.
func (r *Restorer) Batch(ctx context.Context, patches []float32, n, h, w int) ([]float32, error) {
	return r.batch(ctx, &r.patches, patches, n, h, w)
}

// planes is how many channels the network is shown of a picture of so many colours,
// 1 or 3: a network for colour sees a grey picture as three equal colours, one for
// grey pictures each colour by itself.
func (r *Restorer) planes(colours int) int {
	if r.net.Options.Channels == 1 {
		return colours
	}
	return 3
}

func (r *Restorer) batch(ctx context.Context, c *compiled, patches []float32, n, h, w int) (out []float32, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if n < 1 || h < model.MinSide || w < model.MinSide {
		return nil, fmt.Errorf("restore: %d patches of %dx%d are no batch; it needs at least one patch, of at least %dx%d", n, w, h, model.MinSide, model.MinSide)
	}
	channels := r.net.Options.Channels
	images := len(patches) / (channels * h * w)
	if images*channels*h*w != len(patches) || images != n && (channels != 1 || images != 3*n) {
		return nil, fmt.Errorf("restore: %d numbers are no batch of %d patches of 3x%dx%d", len(patches), n, h, w)
	}
	levels, err := r.levels(images)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	shape := [3]int{images, h, w}
	if !c.shapes[shape] && len(c.shapes) >= maxShapes {
		if err := r.reset(c); err != nil {
			return nil, err
		}
	}
	c.shapes[shape] = true
	defer func() {
		if backend.IsOutOfMemory(err) {
			err = fmt.Errorf("restore: out of memory with %d tiles of %dx%d at once; set a smaller BatchSize, or a smaller PatchSize: %w", n, w, h, err)
		}
	}()
	defer backend.Catch(&err)
	x := tensors.FromFlatDataAndDimensions(patches, images, channels, h, w)
	defer x.FinalizeAll()
	in := []any{x}
	if levels != nil {
		sigma := tensors.FromFlatDataAndDimensions(levels, images)
		defer sigma.FinalizeAll()
		in = append(in, sigma)
	}
	results, err := c.exec.Call(append(in, r.weights...)...)
	if err != nil {
		return nil, &backend.Error{Err: err}
	}
	defer results[0].FinalizeAll()
	return tensors.MustCopyFlatData[float32](results[0]), nil
}

// finite says whether all values are numbers.
func finite(values []float32) bool {
	for _, v := range values {
		if v-v != 0 { // NaN for NaN and infinities
			return false
		}
	}
	return true
}
