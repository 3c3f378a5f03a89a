package im2col

import (
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn/lowering"
)

// Conv3x3 joins xs along the channels and convolves. The backward pass lays out
// only the columns of dy and uses them for both gradients.
func (l Lowering) Conv3x3(xs []lowering.Map, w, bias *graph.Node, relu bool, dilation int) lowering.Map {
	if dilation > 1 {
		return l.dilated(xs, w, bias, relu, dilation)
	}
	first := xs[0]
	for i := range xs {
		if first.W <= widestJoined {
			xs[i] = joined(xs[i])
		} else {
			xs[i] = apart(xs[i])
		}
	}
	first = xs[0]
	columns := layoutFor(first.H, first.W)
	cout := w.Shape().Dim(0)
	k := len(first.Parts)
	var in []*graph.Node
	for _, x := range xs {
		in = append(in, x.Parts...)
	}
	at := len(in)
	in = append(in, w)
	if bias != nil {
		in = append(in, bias)
	}
	input := func(in []*graph.Node, i int, more ...*graph.Node) *graph.Node {
		var list []*graph.Node
		for j := range xs {
			list = append(list, in[j*k+i])
		}
		if list = append(list, more...); len(list) == 1 {
			return list[0]
		}
		return graph.Concatenate(list, 1)
	}
	parts := lowering.WithGradient(in, func(in []*graph.Node) []*graph.Node {
		out := make([]*graph.Node, k)
		for i := range k {
			x, w := input(in, i), in[at]
			if bias != nil {
				x, w = input(in, i, ones(in[i], in[i].Shape().Dim(0), 1, in[i].Shape().Dim(2))), withBias(w, in[at+1])
			}
			if out[i] = columns.forward(x, w); relu {
				out[i] = lowering.ReLU(out[i])
			}
		}
		return out
	}, func(in, out, dy []*graph.Node) []*graph.Node {
		grads := make([]*graph.Node, len(in))
		var dws, sums []*graph.Node
		for i := range k {
			dy := dy[i]
			if i >= atOnce && first.W >= inTurn {
				dy = after(dy, grads[i-atOnce])
			}
			if relu {
				dy = graph.Mul(dy, positive(out[i]))
			}
			dx, dw := columns.backward(input(in, i), in[at], dy)
			from := 0
			for j, x := range xs {
				grads[j*k+i] = dx(from, from+x.C)
				from += x.C
			}
			dws, sums = append(dws, dw), append(sums, channelSums(dy))
		}
		grads[at] = columns.weights(lowering.Sum(dws...))
		if bias != nil {
			grads[at+1] = lowering.Sum(sums...)
		}
		return grads
	})
	return with(first, parts, cout)
}

// On the way back, maps of this width and above go through in turn, so many
// shards at once: the columns for all of them would be most of the memory
// of a step.
const (
	inTurn = 64
	atOnce = 2
)

// after is x, computed only when the other node is.
func after(x, other *graph.Node) *graph.Node {
	ranges := make([]graph.SliceAxisSpec, other.Rank())
	for i := range ranges {
		ranges[i] = graph.AxisElem(0)
	}
	return graph.Add(x, graph.MulScalar(graph.Reshape(graph.Slice(other, ranges...)), 0))
}

// withBias takes the bias into the product: the weight of one more input
// channel, of ones, is the bias in the middle of the kernel.
func withBias(w, bias *graph.Node) *graph.Node {
	cout := w.Shape().Dim(0)
	aside := lowering.Zeros(w, cout, 4)
	kernel := graph.Concatenate([]*graph.Node{aside, graph.Reshape(bias, cout, 1), aside}, 1)
	return graph.Concatenate([]*graph.Node{w, graph.Reshape(kernel, cout, 1, 3, 3)}, 1)
}

// dilated lays out the columns, each a part of the padded map, and multiplies.
// Gradients are found by GoMLX, as those of Depthwise3x3.
func (l Lowering) dilated(xs []lowering.Map, w, bias *graph.Node, relu bool, dilation int) lowering.Map {
	h, wd := xs[0].H, xs[0].W
	var columns []lowering.Map
	for _, x := range xs {
		framed := l.Pad(x, dilation, dilation, dilation, dilation)
		for q := range 9 {
			columns = append(columns, l.Crop(framed, q/3*dilation, q%3*dilation, h, wd))
		}
	}
	all := with(columns[0], nil, 0)
	for i := range columns[0].Parts {
		var list []*graph.Node
		for _, c := range columns {
			list = append(list, c.Parts[i])
		}
		all.Parts = append(all.Parts, graph.Concatenate(list, 1))
	}
	var weights []*graph.Node // of each input, position by position
	from, out := 0, w.Shape().Dim(0)
	for _, x := range xs {
		own := graph.Slice(w, graph.AxisRange(), graph.AxisRange(from, from+x.C))
		weights = append(weights, graph.Reshape(graph.TransposeAllAxes(own, 0, 2, 3, 1), out, 9*x.C))
		from += x.C
	}
	all.C = 9 * from
	m := weights[0]
	if len(weights) > 1 {
		m = graph.Concatenate(weights, 1)
	}
	y := l.Conv1x1(all, graph.Reshape(m, out, 9*from, 1, 1), bias)
	if relu {
		y = l.Pointwise(func(n ...*graph.Node) *graph.Node { return lowering.ReLU(n[0]) }, y)
	}
	return y
}

func (l Lowering) Depthwise3x3(x lowering.Map, w, bias *graph.Node) lowering.Map {
	framed := l.Pad(x, 1, 1, 1, 1)
	var positions []lowering.Map
	for q := range 9 {
		shift := graph.ZerosLike(bias)
		if q == 0 {
			shift = bias
		}
		positions = append(positions, l.Affine(l.Crop(framed, q/3, q%3, x.H, x.W), lowering.KernelPosition(w, q/3, q%3), shift, false))
	}
	return l.Pointwise(func(n ...*graph.Node) *graph.Node { return lowering.Sum(n...) }, positions...)
}

func (Lowering) Conv1x1(x lowering.Map, w, bias *graph.Node) lowering.Map {
	cout, cin := w.Shape().Dim(0), w.Shape().Dim(1)
	k := len(x.Parts)
	if bias == nil {
		bias = lowering.Zeros(w, cout)
	}
	in := append(append([]*graph.Node{}, x.Parts...), graph.Reshape(w, cout, cin), bias)
	withOnes := make([]*graph.Node, k)
	parts := lowering.WithGradient(in, func(in []*graph.Node) []*graph.Node {
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
		dw := lowering.Sum(dws...)
		grads[k] = graph.Slice(dw, graph.AxisRange(), graph.AxisRange(0, cin))
		grads[k+1] = graph.Reshape(graph.Slice(dw, graph.AxisRange(), graph.AxisRange(cin, cin+1)), cout)
		return grads
	})
	return with(x, parts, cout)
}
