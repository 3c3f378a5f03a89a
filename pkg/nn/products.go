package nn

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// products is the lowering for GoMLX's Go engine. There, matrix products and
// concatenations (block copies) are quick; slices, transposes and gathers copy
// value by value, and element-wise operations use one core. So
//
//   - maps are [m, C, H*W], cut into shards of the batch inside one graph, which
//     lets element-wise operations of different shards fill the cores. Sums of
//     batch norm go over all shards, so the result is that of the whole batch;
//   - small maps are kept together as [1, C, n*H*W], for large products;
//   - a convolution is one concatenation that lays out the taps as shifted
//     ranges, one product, and one slice (see products_conv.go);
//   - gradients are written by hand where automatic ones would transpose.
//
// The number of shards depends on the batch alone, not on the machine, so that
// a run gives the same bits on any number of cores.
type products struct{}

const (
	maxShards = 4
	// together is the widest map that is kept in one part. At 8 pixels and
	// below the borders that the shifted ranges drag along cost more than an
	// exact layout of the taps.
	together = 8
	// threeTaps is the narrowest map whose convolution lays out only the
	// vertical taps and adds the horizontal ones afterwards: a third of the memory.
	threeTaps = 32
)

func (products) enter(x *graph.Node) Map {
	d := x.Shape().Dimensions
	n, c, h, w := d[0], d[1], d[2], d[3]
	return shard(graph.Reshape(x, n, c, h*w), Map{n: n, C: c, H: h, W: w})
}

func (products) leave(m Map) *graph.Node {
	return graph.Reshape(whole(apart(m)), m.n, m.C, m.H, m.W)
}

// shard cuts [n, C, H*W] into parts of the batch.
func shard(x *graph.Node, like Map) Map {
	like.parts, like.together = nil, false
	k := min(maxShards, like.n)
	for i := range k {
		like.parts = append(like.parts, graph.Slice(x, graph.AxisRange(i*like.n/k, (i+1)*like.n/k)))
	}
	return like
}

// whole joins the shards to [n, C, H*W].
func whole(m Map) *graph.Node {
	if len(m.parts) == 1 {
		return m.parts[0]
	}
	return graph.Concatenate(m.parts, 0)
}

// joined and apart change between one part [1, C, n*H*W] and shards. A shard of
// one image is a block already, which spares a transposition.
func joined(m Map) Map {
	if m.together {
		return m
	}
	list := make([]*graph.Node, len(m.parts))
	for i, p := range m.parts {
		list[i] = graph.Reshape(exchanged(p), 1, m.C, p.Shape().Dim(0)*m.H*m.W)
	}
	one := list[0]
	if len(list) > 1 {
		one = graph.Concatenate(list, 2)
	}
	m.parts, m.together = []*graph.Node{one}, true
	return m
}

func apart(m Map) Map {
	if !m.together {
		return m
	}
	x, k := graph.Reshape(m.parts[0], m.C, m.n, m.H*m.W), min(maxShards, m.n)
	m.parts, m.together = nil, false
	for i := range k {
		m.parts = append(m.parts, exchanged(graph.Slice(x, graph.AxisRange(), graph.AxisRange(i*m.n/k, (i+1)*m.n/k))))
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
func (m Map) with(parts []*graph.Node, c int) Map {
	m.parts, m.C = parts, c
	return m
}

// stacked is a matrix [a, b] repeated n times: [n, a, b].
func stacked(m *graph.Node, n int) *graph.Node {
	m = graph.Reshape(m, append([]int{1}, m.Shape().Dimensions...)...)
	if n == 1 {
		return m
	}
	list := make([]*graph.Node, n)
	for i := range list {
		list[i] = m
	}
	return graph.Concatenate(list, 0)
}

// batched is a[n, M, K] b[n, K, N]; batchedT is a[n, M, K] b[n, N, K]; plain is a[M, K] b[K, N].
func batched(a, b *graph.Node) *graph.Node {
	return graph.DotGeneral(a, []int{2}, []int{0}, b, []int{1}, []int{0})
}

func batchedT(a, b *graph.Node) *graph.Node {
	return graph.DotGeneral(a, []int{2}, []int{0}, b, []int{2}, []int{0})
}

func plain(a, b *graph.Node) *graph.Node {
	return graph.DotGeneral(a, []int{1}, nil, b, []int{0}, nil)
}

func sum(list []*graph.Node) *graph.Node {
	total := list[0]
	for _, x := range list[1:] {
		total = graph.Add(total, x)
	}
	return total
}

func overBatch(x *graph.Node) *graph.Node {
	if x.Shape().Dim(0) == 1 {
		return graph.Reshape(x, x.Shape().Dimensions[1:]...)
	}
	return graph.ReduceSum(x, 0)
}

func zeros(like *graph.Node, dims ...int) *graph.Node {
	return graph.Zeros(like.Graph(), shapes.Make(like.DType(), dims...))
}

func ones(like *graph.Node, dims ...int) *graph.Node {
	return graph.Ones(like.Graph(), shapes.Make(like.DType(), dims...))
}

// constant puts a matrix into the graph, in the precision of like.
func constant(like *graph.Node, m matrix) *graph.Node {
	if like.DType() == dtypes.Float64 {
		return graph.Const(like.Graph(), tensors.FromFlatDataAndDimensions(m.values, m.rows, m.columns))
	}
	values := make([]float32, len(m.values))
	for i, v := range m.values {
		values[i] = float32(v)
	}
	return graph.Const(like.Graph(), tensors.FromFlatDataAndDimensions(values, m.rows, m.columns))
}

// column spreads a value per channel over pixels: [C] -> [n, C, p].
func column(v *graph.Node, n, p int) *graph.Node {
	c := v.Shape().Size()
	v = graph.Reshape(stacked(graph.Reshape(v, c, 1), n), n*c, 1)
	return graph.Reshape(plain(v, ones(v, 1, p)), n, c, p)
}

// channelSums adds up each channel: [n, C, p] -> [C], by a product.
func channelSums(x *graph.Node) *graph.Node {
	p := x.Shape().Dim(2)
	s := graph.DotGeneral(x, []int{2}, nil, ones(x, 1, p), []int{1}, nil)
	return overBatch(graph.Reshape(s, x.Shape().Dim(0), x.Shape().Dim(1)))
}

// channelDots is the sum of a*b in each channel: [C].
func channelDots(a, b *graph.Node) *graph.Node {
	n, c, p := a.Shape().Dim(0), a.Shape().Dim(1), a.Shape().Dim(2)
	s := batchedT(graph.Reshape(a, n*c, 1, p), graph.Reshape(b, n*c, 1, p))
	return overBatch(graph.Reshape(s, n, c))
}

func (products) zip(f func(nodes ...*graph.Node) *graph.Node, xs ...Map) Map {
	for i := range xs {
		if xs[i].together != xs[0].together {
			for j := range xs {
				xs[j] = apart(xs[j])
			}
			break
		}
	}
	parts := make([]*graph.Node, len(xs[0].parts))
	for i := range parts {
		nodes := make([]*graph.Node, len(xs))
		for j := range xs {
			nodes[j] = xs[j].parts[i]
		}
		parts[i] = f(nodes...)
	}
	return xs[0].with(parts, xs[0].C)
}

func (products) spread(x Map, c int) Map {
	parts := make([]*graph.Node, len(x.parts))
	for i, p := range x.parts {
		parts[i] = batched(ones(p, p.Shape().Dim(0), c, 1), p)
	}
	return x.with(parts, c)
}

func (products) conv1x1(x Map, w, bias *graph.Node) Map {
	cout, cin := w.Shape().Dim(0), w.Shape().Dim(1)
	k := len(x.parts)
	if bias == nil {
		bias = zeros(w, cout)
	}
	in := append(append([]*graph.Node{}, x.parts...), graph.Reshape(w, cout, cin), bias)
	withOnes := make([]*graph.Node, k)
	parts := custom(in, func(in []*graph.Node) []*graph.Node {
		m := graph.Concatenate([]*graph.Node{in[k], graph.Reshape(in[k+1], cout, 1)}, 1)
		var out []*graph.Node
		for i := range k {
			withOnes[i] = addOnes(in[i])
			out = append(out, batched(stacked(m, in[i].Shape().Dim(0)), withOnes[i]))
		}
		return out
	}, func(in, _, dy []*graph.Node) []*graph.Node {
		grads := make([]*graph.Node, k+2)
		wt := graph.TransposeAllAxes(in[k], 1, 0)
		var dws []*graph.Node
		for i := range k {
			grads[i] = batched(stacked(wt, dy[i].Shape().Dim(0)), dy[i])
			dws = append(dws, overBatch(batchedT(dy[i], withOnes[i])))
		}
		dw := sum(dws)
		grads[k] = graph.Slice(dw, graph.AxisRange(), graph.AxisRange(0, cin))
		grads[k+1] = graph.Reshape(graph.Slice(dw, graph.AxisRange(), graph.AxisRange(cin, cin+1)), cout)
		return grads
	})
	return x.with(parts, cout)
}

// addOnes adds a channel of ones, which takes a bias into a product.
func addOnes(x *graph.Node) *graph.Node {
	return graph.Concatenate([]*graph.Node{x, ones(x, x.Shape().Dim(0), 1, x.Shape().Dim(2))}, 1)
}
