package native

import (
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn/lowering"
)

func (l Lowering) Affine(x lowering.Map, scale, shift *graph.Node, relu bool) lowering.Map {
	s := full(x.Parts[0], scale)
	y := graph.Add(graph.Mul(s, perChannel(scale, s)), perChannel(shift, s))
	if relu {
		y = lowering.ReLU(y)
	}
	return single(l.half(y))
}

func (l Lowering) BatchNorm(x lowering.Map, shares, gamma, beta *graph.Node, epsilon float64, relu bool) (lowering.Map, *graph.Node, *graph.Node) {
	s := full(x.Parts[0], gamma)
	var mean, variance, inverse, scale *graph.Node
	centred := func(s *graph.Node) *graph.Node { return graph.Sub(s, perChannel(mean, s)) }
	forward := func(in []*graph.Node) []*graph.Node {
		s := in[0]
		mean = batchMean(s, shares)
		variance = batchMean(graph.Square(centred(s)), shares)
		inverse = graph.Reciprocal(graph.Sqrt(graph.AddScalar(variance, epsilon)))
		scale = graph.Mul(in[1], inverse)
		return []*graph.Node{l.Affine(single(centred(s)), scale, in[2], relu).Parts[0]}
	}
	in := []*graph.Node{s, gamma, beta}
	if l.recompute {
		return single(forward(in)[0]), mean, variance
	}
	// dx = scale * (dy - mean(dy) - normalised * mean(dy * normalised)), where the
	// means, but not dy, count each image by its share. Written down by hand it
	// goes three times through the maps, not six.
	backward := func(in, out, dout []*graph.Node) []*graph.Node {
		s, dy := in[0], full(dout[0], gamma)
		if relu {
			dy = graph.Where(graph.GreaterThan(out[0], graph.ZerosLike(out[0])), dy, graph.ZerosLike(dy))
		}
		dbeta := graph.ReduceSum(dy, 0, 1, 2)
		dgamma := graph.Mul(graph.ReduceSum(graph.Mul(dy, centred(s)), 0, 1, 2), inverse)
		count := float64(x.N * x.H * x.W)
		fromAll := graph.MulScalar(graph.Mul(scale, dbeta), -1/count)
		fromCentred := graph.MulScalar(graph.Mul(graph.Mul(scale, inverse), dgamma), -1/count)
		byStatistics := graph.Add(graph.Mul(centred(s), perChannel(fromCentred, s)), perChannel(fromAll, s))
		return []*graph.Node{graph.Add(graph.Mul(dy, perChannel(scale, dy)), counted(byStatistics, shares)), dgamma, dbeta}
	}
	return single(lowering.WithGradient(in, forward, backward)[0]), mean, variance
}

// batchMean is that of each channel, [C].
func batchMean(x, shares *graph.Node) *graph.Node {
	return graph.ReduceMean(counted(x, shares), 0, 1, 2)
}

// counted weighs images by their shares; nil leaves all alike.
func counted(x, shares *graph.Node) *graph.Node {
	if shares == nil {
		return x
	}
	return graph.Mul(x, graph.BroadcastToShape(graph.Reshape(shares, x.Shape().Dim(0), 1, 1, 1), x.Shape()))
}

func (l Lowering) LayerNorm(x lowering.Map, gamma, beta *graph.Node, epsilon float64) lowering.Map {
	s := full(x.Parts[0], gamma)
	mean := func(s *graph.Node) *graph.Node {
		return graph.BroadcastToShape(graph.ReduceAndKeep(s, graph.ReduceMean, 3), s.Shape())
	}
	centred := graph.Sub(s, mean(s))
	normal := graph.Div(centred, graph.Sqrt(graph.AddScalar(mean(graph.Square(centred)), epsilon)))
	return l.Affine(single(normal), gamma, beta, false)
}
