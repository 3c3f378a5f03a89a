// Package im2col is the lowering for GoMLX's Go engine: convolutions by one matrix
// product each, after the positions of the kernel are laid out as columns (im2col;
// Chellapilla, Puri & Simard, 2006).
//
// On that engine matrix products and concatenations (block copies) are quick;
// slices, transposes and gathers copy value by value, and element-wise operations
// use one core. So
//
//   - maps are [m, C, H*W], cut into shards of the batch inside one graph, which
//     lets element-wise operations of different shards fill the cores. Sums of
//     batch norm go over all shards, so the result is that of the whole batch;
//   - small maps are joined to one part [1, C, n*H*W], for large products;
//   - a convolution is one concatenation that lays out the columns as shifted
//     ranges, one product, and one slice;
//   - gradients are written by hand where automatic ones would transpose.
//
// The number of shards depends on the batch alone, not on the machine, so that
// a run gives the same bits on any number of cores.
package im2col

import (
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn/lowering"
)

// Lowering is a [lowering.Interface].
type Lowering struct{}

// Mixed changes nothing: the engine has no quick bfloat16.
func (l Lowering) Mixed() lowering.Interface { return l }

// Recomputing changes nothing: the gradients written by hand hold on to the maps
// that they need, so that nothing would be saved.
func (l Lowering) Recomputing() lowering.Interface { return l }

func (Lowering) Block(f func(xs ...lowering.Map) lowering.Map, xs ...lowering.Map) lowering.Map {
	return f(xs...)
}

func (Lowering) Enter(x *graph.Node) lowering.Map {
	d := x.Shape().Dimensions
	n, c, h, w := d[0], d[1], d[2], d[3]
	return shard(graph.Reshape(x, n, c, h*w), lowering.Map{N: n, C: c, H: h, W: w})
}

func (Lowering) Leave(m lowering.Map) *graph.Node {
	return graph.Reshape(whole(apart(m)), m.N, m.C, m.H, m.W)
}

// maxShards is how many parts a batch is cut into.
const maxShards = 4

// shard cuts [n, C, H*W] into parts of the batch.
func shard(x *graph.Node, like lowering.Map) lowering.Map {
	like.Parts = nil
	k := min(maxShards, like.N)
	for i := range k {
		like.Parts = append(like.Parts, graph.Slice(x, graph.AxisRange(i*like.N/k, (i+1)*like.N/k)))
	}
	return like
}

// whole joins the shards to [n, C, H*W].
func whole(m lowering.Map) *graph.Node {
	if len(m.Parts) == 1 {
		return m.Parts[0]
	}
	return graph.Concatenate(m.Parts, 0)
}

// isJoined tells one part [1, C, n*H*W] from shards. A single image is both.
func isJoined(m lowering.Map) bool { return m.Parts[0].Shape().Dim(2) == m.N*m.H*m.W }

// joined and apart change between the two. A shard of one image is a block
// already, which spares a transposition.
func joined(m lowering.Map) lowering.Map {
	if isJoined(m) {
		return m
	}
	list := make([]*graph.Node, len(m.Parts))
	for i, p := range m.Parts {
		list[i] = graph.Reshape(exchanged(p), 1, m.C, p.Shape().Dim(0)*m.H*m.W)
	}
	one := list[0]
	if len(list) > 1 {
		one = graph.Concatenate(list, 2)
	}
	m.Parts = []*graph.Node{one}
	return m
}

func apart(m lowering.Map) lowering.Map {
	if m.N == 1 || !isJoined(m) {
		return m
	}
	x, k := graph.Reshape(m.Parts[0], m.C, m.N, m.H*m.W), min(maxShards, m.N)
	m.Parts = nil
	for i := range k {
		m.Parts = append(m.Parts, exchanged(graph.Slice(x, graph.AxisRange(), graph.AxisRange(i*m.N/k, (i+1)*m.N/k))))
	}
	return m
}

// exchanged swaps the first two axes of three.
func exchanged(x *graph.Node) *graph.Node {
	if d := x.Shape().Dimensions; d[0] == 1 || d[1] == 1 {
		return graph.Reshape(x, d[1], d[0], d[2])
	}
	return graph.TransposeAllAxes(x, 1, 0, 2)
}

// with returns a map like m with other parts and channels.
func with(m lowering.Map, parts []*graph.Node, c int) lowering.Map {
	m.Parts, m.C = parts, c
	return m
}

func (Lowering) Pointwise(f func(nodes ...*graph.Node) *graph.Node, xs ...lowering.Map) lowering.Map {
	for i := range xs {
		if isJoined(xs[i]) != isJoined(xs[0]) {
			for j := range xs {
				xs[j] = apart(xs[j])
			}
			break
		}
	}
	parts := make([]*graph.Node, len(xs[0].Parts))
	for i := range parts {
		nodes := make([]*graph.Node, len(xs))
		for j := range xs {
			nodes[j] = xs[j].Parts[i]
		}
		parts[i] = f(nodes...)
	}
	return with(xs[0], parts, xs[0].C)
}

func (Lowering) RepeatChannel(x lowering.Map, c int) lowering.Map {
	parts := make([]*graph.Node, len(x.Parts))
	for i, p := range x.Parts {
		parts[i] = batched(ones(p, p.Shape().Dim(0), c, 1), p)
	}
	return with(x, parts, c)
}

func (Lowering) RepeatPixel(x lowering.Map, h, w int) lowering.Map {
	x = apart(x)
	var parts []*graph.Node
	for _, s := range x.Parts {
		n := s.Shape().Dim(0)
		parts = append(parts, graph.Reshape(plain(graph.Reshape(s, n*x.C, 1), ones(s, 1, h*w)), n, x.C, h*w))
	}
	x.H, x.W = h, w
	return with(x, parts, x.C)
}

func (Lowering) Channels(x lowering.Map, from, to int) lowering.Map {
	var parts []*graph.Node
	for _, s := range x.Parts {
		parts = append(parts, graph.Slice(s, graph.AxisRange(), graph.AxisRange(from, to)))
	}
	return with(x, parts, to-from)
}
