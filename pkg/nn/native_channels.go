package nn

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
)

// depthwise3x3 adds up nine shifted maps, each channel times its tap, which XLA
// makes one loop of. Its own grouped convolution has no gradient in GoMLX that
// does not go through the channels one by one.
func (l native) depthwise3x3(x Map, w, bias *graph.Node) Map {
	framed := l.pad(x.alone(full(x.parts[0], w)), 1, 1, 1, 1)
	var list []*graph.Node
	for i := range 3 {
		for j := range 3 {
			shifted := l.window(framed, i, j, x.H, x.W).parts[0]
			list = append(list, graph.Mul(shifted, perChannel(tapOfEach(w, i, j), shifted)))
		}
	}
	return x.alone(l.biased(sum(list), bias))
}

// tapOfEach is one tap of all channels, [C].
func tapOfEach(w *graph.Node, i, j int) *graph.Node {
	return graph.Reshape(graph.Slice(w, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(i, i+1), graph.AxisRange(j, j+1)), w.Shape().Dim(0))
}

func (l native) layerNorm(x Map, gamma, beta *graph.Node) Map {
	s := full(x.parts[0], gamma)
	mean := func(s *graph.Node) *graph.Node {
		return graph.BroadcastToShape(graph.ReduceAndKeep(s, graph.ReduceMean, 3), s.Shape())
	}
	centred := graph.Sub(s, mean(s))
	normal := graph.Div(centred, graph.Sqrt(graph.AddScalar(mean(graph.Square(centred)), layerNormEpsilon)))
	return l.affine(x.alone(normal), gamma, beta, false)
}

func (native) window(x Map, top, left, h, w int) Map {
	return x.alone(graph.Slice(x.parts[0], graph.AxisRange(), graph.AxisRange(top, top+h), graph.AxisRange(left, left+w), graph.AxisRange()))
}

func (native) channels(x Map, from, to int) Map {
	return x.alone(graph.Slice(x.parts[0], graph.AxisRange(), graph.AxisRange(), graph.AxisRange(), graph.AxisRange(from, to)))
}

func (l native) mean(x Map) Map {
	s := x.parts[0]
	if l.mixed {
		s = graph.ConvertDType(s, dtypes.Float32)
	}
	return x.alone(l.half(graph.ReduceAndKeep(s, graph.ReduceMean, 1, 2)))
}

func (native) fill(x Map, h, w int) Map {
	return x.alone(graph.BroadcastToDims(x.parts[0], x.n, h, w, x.C))
}
