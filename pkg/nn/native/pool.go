package native

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors/images"

	"rekindle/pkg/nn/lowering"
)

// MaxPool compares the four places of a window. XLA's own gradient of pooling
// looks for the largest value once more and, on a processor, scatters.
func (l Lowering) MaxPool(x lowering.Map) lowering.Map {
	if l.recompute {
		return single(graph.MaxPool(x.Parts[0]).ChannelsAxis(images.ChannelsLast).Window(2).Strides(2).NoPadding().Done())
	}
	h, w := x.H/2, x.W/2
	s := x.Parts[0]
	if s.Shape().Dim(1) != 2*h || s.Shape().Dim(2) != 2*w {
		s = graph.Slice(s, graph.AxisRange(), graph.AxisRange(0, 2*h), graph.AxisRange(0, 2*w), graph.AxisRange())
	}
	place := func(s *graph.Node, i int) *graph.Node {
		return graph.Slice(s, graph.AxisRange(), graph.AxisRange(i/2, 2*h).Stride(2), graph.AxisRange(i%2, 2*w).Stride(2), graph.AxisRange())
	}
	forward := func(in []*graph.Node) []*graph.Node {
		largest := place(in[0], 0)
		for i := 1; i < 4; i++ {
			largest = graph.Max(largest, place(in[0], i))
		}
		return []*graph.Node{largest}
	}
	backward := func(in, out, dout []*graph.Node) []*graph.Node {
		// The first of equal ones, in row-major order, gets the gradient.
		one := graph.OnesLike(out[0])
		first := graph.MulScalar(one, 3)
		for i := 2; i >= 0; i-- {
			first = graph.Where(graph.Equal(place(in[0], i), out[0]), graph.MulScalar(one, float64(i)), first)
		}
		windows := []int{x.N, h, 2, w, 2, x.C}
		spread := func(v *graph.Node) *graph.Node {
			return graph.BroadcastToDims(graph.Reshape(v, x.N, h, 1, w, 1, x.C), windows...)
		}
		places := graph.ConvertDType(graph.Const(s.Graph(), []float32{0, 1, 2, 3}), s.DType())
		places = graph.BroadcastToDims(graph.Reshape(places, 1, 1, 2, 1, 2, 1), windows...)
		dx := graph.Where(graph.Equal(places, spread(first)), spread(dout[0]), graph.Zeros(s.Graph(), places.Shape()))
		return []*graph.Node{graph.Reshape(dx, x.N, 2*h, 2*w, x.C)}
	}
	return single(lowering.WithGradient([]*graph.Node{s}, forward, backward)[0])
}

func (l Lowering) Mean(x lowering.Map) lowering.Map {
	s := x.Parts[0]
	if l.mixed {
		s = graph.ConvertDType(s, dtypes.Float32)
	}
	return single(l.half(graph.ReduceAndKeep(s, graph.ReduceMean, 1, 2)))
}
