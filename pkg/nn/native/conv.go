package native

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors/images"

	"rekindle/pkg/nn/lowering"
)

func (l Lowering) Conv3x3(xs []lowering.Map, w, bias *graph.Node, relu bool, dilation int) lowering.Map {
	for i, x := range xs {
		xs[i] = single(l.half(x.Parts[0]))
	}
	kernel := graph.TransposeAllAxes(l.half(w), 2, 3, 1, 0)
	y := l.biased(l.convolve(joined(xs), kernel, dilation), bias)
	if relu {
		y = lowering.ReLU(y)
	}
	return single(y)
}

// convolve takes x [n, H, W, in] and a kernel [3, 3, in, out].
func (l Lowering) convolve(x, kernel *graph.Node, dilation int) *graph.Node {
	plain := func(x, kernel *graph.Node) *graph.Node {
		return graph.Convolve(x, kernel).ChannelsAxis(images.ChannelsLast).Dilations(dilation).PaddingPerDim([][2]int{{dilation, dilation}, {dilation, dilation}}).Done()
	}
	if !l.Processor || l.recompute || dilation > 1 {
		return plain(x, kernel)
	}
	return lowering.WithGradient([]*graph.Node{x, kernel}, func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{plain(in[0], in[1])}
	}, func(in, _, dout []*graph.Node) []*graph.Node {
		mirrored := graph.TransposeAllAxes(graph.Reverse(in[1], 0, 1), 0, 1, 3, 2)
		return []*graph.Node{plain(dout[0], mirrored), gradientOfKernel(in[0], dout[0])}
	})[0]
}

func (l Lowering) Conv1x1(x lowering.Map, w, bias *graph.Node) lowering.Map {
	m := graph.Reshape(l.half(w), w.Shape().Dim(0), w.Shape().Dim(1))
	return single(l.biased(graph.DotGeneral(l.half(x.Parts[0]), []int{3}, nil, m, []int{1}, nil), bias))
}

// Depthwise3x3 adds up nine shifted maps, each channel times its weight, which
// XLA makes one loop of. Its own grouped convolution has no gradient in GoMLX that
// does not go through the channels one by one.
func (l Lowering) Depthwise3x3(x lowering.Map, w, bias *graph.Node) lowering.Map {
	framed := l.Pad(single(full(x.Parts[0], w)), 1, 1, 1, 1)
	var list []*graph.Node
	for i := range 3 {
		for j := range 3 {
			shifted := l.Crop(framed, i, j, x.H, x.W).Parts[0]
			list = append(list, graph.Mul(shifted, perChannel(lowering.KernelPosition(w, i, j), shifted)))
		}
	}
	return single(l.biased(lowering.Sum(list...), bias))
}

// joined is one node of all maps, along the channels.
func joined(xs []lowering.Map) *graph.Node {
	if len(xs) == 1 {
		return xs[0].Parts[0]
	}
	list := make([]*graph.Node, len(xs))
	for i, x := range xs {
		list[i] = x.Parts[0]
	}
	return graph.Concatenate(list, 3)
}

// perChannel spreads [C] over like.
func perChannel(v, like *graph.Node) *graph.Node {
	return graph.BroadcastToShape(graph.Reshape(v, 1, 1, 1, v.Shape().Size()), like.Shape())
}

// biased adds a bias, if there is one, to each channel in the bias's own precision:
// its gradient is a sum over all pixels, of which bfloat16 would keep two digits.
func (l Lowering) biased(y, bias *graph.Node) *graph.Node {
	if bias == nil {
		return y
	}
	y = full(y, bias)
	return l.half(graph.Add(y, perChannel(bias, y)))
}
