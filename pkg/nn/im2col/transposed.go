package im2col

import (
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn/lowering"
)

// Transposed2x2: each pixel becomes a block of 2x2 that no other touches, so it
// is a product that gives four values a pixel, and an interleaving.
func (Lowering) Transposed2x2(x lowering.Map, w, bias *graph.Node) lowering.Map {
	x = apart(x)
	return transposed(x, x.H, x.W, w, bias, func(s *graph.Node) [4]*graph.Node {
		var quarters [4]*graph.Node
		for q := range quarters {
			quarters[q] = batched(stacked(transposedPosition(w, q/2, q%2), s.Shape().Dim(0)), s)
		}
		return quarters
	})
}

// Transposed4x4: output row 2r+a gets input rows r+a-1 and r+a through two of the
// kernel's four rows; likewise the columns. So each quarter is a sum of four products.
func (l Lowering) Transposed4x4(x lowering.Map, w, bias *graph.Node) lowering.Map {
	framed := l.Pad(x, 1, 1, 1, 1)
	h, wd := x.H, x.W
	return transposed(framed, h, wd, w, bias, func(s *graph.Node) [4]*graph.Node {
		n, c := s.Shape().Dim(0), s.Shape().Dim(1)
		p := graph.Reshape(s, n, c, h+2, wd+2)
		var quarters [4]*graph.Node
		for q := range quarters {
			a, b := q/2, q%2
			var list []*graph.Node
			for i := range 2 { // row of the frame r+a+i meets the kernel's 3-a-2i
				for j := range 2 {
					window := graph.Slice(p, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(a+i, a+i+h), graph.AxisRange(b+j, b+j+wd))
					list = append(list, batched(stacked(transposedPosition(w, 3-a-2*i, 3-b-2*j), n), graph.Reshape(window, n, c, h*wd)))
				}
			}
			quarters[q] = lowering.Sum(list...)
		}
		return quarters
	})
}

// transposedPosition is one position of a weight [in, out, k, k], as [out, in].
func transposedPosition(w *graph.Node, i, j int) *graph.Node {
	return graph.TransposeAllAxes(lowering.KernelPosition(w, i, j), 1, 0)
}

// transposed interleaves the four quarters that compute gives for each part,
// each [n, out, h*w] for the pixels at even or odd rows and columns.
func transposed(x lowering.Map, h, w int, weight, bias *graph.Node, compute func(s *graph.Node) [4]*graph.Node) lowering.Map {
	x = apart(x)
	cout := weight.Shape().Dim(1)
	parts := make([]*graph.Node, len(x.Parts))
	for i, s := range x.Parts {
		n := s.Shape().Dim(0)
		quarters := compute(s)
		var rows []*graph.Node
		for a := range 2 {
			pair := []*graph.Node{graph.Reshape(quarters[2*a], n*cout*h, w), graph.Reshape(quarters[2*a+1], n*cout*h, w)}
			rows = append(rows, plain(graph.Concatenate(pair, 1), lowering.Constant(s, interleave(w, 2*w))))
		}
		parts[i] = graph.Reshape(graph.Concatenate(rows, 1), n, cout, 4*h*w)
		if bias != nil {
			parts[i] = graph.Add(parts[i], graph.BroadcastToShape(graph.Reshape(bias, 1, cout, 1), parts[i].Shape()))
		}
	}
	x.H, x.W = 2*h, 2*w
	return with(x, parts, cout)
}
