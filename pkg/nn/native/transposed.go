package native

import (
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn/lowering"
)

func (l Lowering) Transposed2x2(x lowering.Map, w, bias *graph.Node) lowering.Map {
	y := graph.Einsum("nhwi,iokl->nhkwlo", l.half(x.Parts[0]), l.half(w))
	y = graph.Reshape(y, x.N, 2*x.H, 2*x.W, w.Shape().Dim(1))
	return single(l.biased(y, bias))
}

// Transposed4x4 is a sum of four shifted products, as in package im2col:
// GoMLX has no gradient for the dilated convolution that would do it at once.
func (l Lowering) Transposed4x4(x lowering.Map, w, bias *graph.Node) lowering.Map {
	framed, w := l.Pad(single(l.half(x.Parts[0])), 1, 1, 1, 1).Parts[0], l.half(w)
	var rows []*graph.Node
	for a := range 2 {
		var pair []*graph.Node
		for b := range 2 {
			var list []*graph.Node
			for i := range 2 {
				for j := range 2 {
					window := graph.Slice(framed, graph.AxisRange(), graph.AxisRange(a+i, a+i+x.H), graph.AxisRange(b+j, b+j+x.W), graph.AxisRange())
					list = append(list, graph.DotGeneral(window, []int{3}, nil, graph.TransposeAllAxes(lowering.KernelPosition(w, 3-a-2*i, 3-b-2*j), 1, 0), []int{1}, nil))
				}
			}
			pair = append(pair, lowering.Sum(list...))
		}
		rows = append(rows, graph.Stack(pair, 3)) // [n, h, w, 2, out]
	}
	y := graph.Reshape(graph.Stack(rows, 2), x.N, 2*x.H, 2*x.W, w.Shape().Dim(1))
	return single(l.biased(y, bias))
}
