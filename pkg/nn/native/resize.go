package native

import (
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn/lowering"
)

func (Lowering) Resize(x lowering.Map, rows, columns lowering.Matrix) lowering.Map {
	m := func(v lowering.Matrix) *graph.Node { return full(lowering.Constant(x.Parts[0], v), x.Parts[0]) }
	y := graph.Einsum("oh,nhwc->nowc", m(rows), x.Parts[0])
	return single(graph.Einsum("pw,nowc->nopc", m(columns), y))
}

// Double interpolates with align_corners=False, where each new row and column is
// three quarters of the nearest old one and a quarter of the next: no matrices, whose
// cost grows with the size.
func (Lowering) Double(x lowering.Map) lowering.Map {
	y := x.Parts[0]
	for _, axis := range []int{1, 2} {
		n := y.Shape().Dimensions[axis]
		last, behind := graph.SliceAxis(y, axis, graph.AxisRange(n-1, n)), y
		first, before := graph.SliceAxis(y, axis, graph.AxisRange(0, 1)), y
		if n > 1 {
			behind = graph.Concatenate([]*graph.Node{graph.SliceAxis(y, axis, graph.AxisRange(1, n)), last}, axis)
			before = graph.Concatenate([]*graph.Node{first, graph.SliceAxis(y, axis, graph.AxisRange(0, n-1))}, axis)
		}
		near := graph.MulScalar(y, 0.75)
		even, odd := graph.Add(near, graph.MulScalar(before, 0.25)), graph.Add(near, graph.MulScalar(behind, 0.25))
		dims := append([]int{}, y.Shape().Dimensions...)
		dims[axis] *= 2
		y = graph.Reshape(graph.Stack([]*graph.Node{even, odd}, axis+1), dims...)
	}
	return single(y)
}

func (Lowering) Pad(x lowering.Map, left, right, top, bottom int) lowering.Map {
	s := x.Parts[0]
	add := func(axis, n int, before bool) {
		if n == 0 {
			return
		}
		d := append([]int{}, s.Shape().Dimensions...)
		d[axis] = n
		list := []*graph.Node{s, lowering.Zeros(s, d...)}
		if before {
			list[0], list[1] = list[1], list[0]
		}
		s = graph.Concatenate(list, axis)
	}
	add(1, top, true)
	add(1, bottom, false)
	add(2, left, true)
	add(2, right, false)
	return single(s)
}

func (Lowering) Crop(x lowering.Map, top, left, h, w int) lowering.Map {
	return single(graph.Slice(x.Parts[0], graph.AxisRange(), graph.AxisRange(top, top+h), graph.AxisRange(left, left+w), graph.AxisRange()))
}

func (Lowering) PixelUnshuffle(x lowering.Map) lowering.Map {
	h, w := x.H/2, x.W/2
	y := graph.TransposeAllAxes(graph.Reshape(x.Parts[0], x.N, h, 2, w, 2, x.C), 0, 1, 3, 5, 2, 4)
	return single(graph.Reshape(y, x.N, h, w, 4*x.C))
}

func (Lowering) PixelShuffle(x lowering.Map) lowering.Map {
	c := x.C / 4
	y := graph.TransposeAllAxes(graph.Reshape(x.Parts[0], x.N, x.H, x.W, c, 2, 2), 0, 1, 4, 2, 5, 3)
	return single(graph.Reshape(y, x.N, 2*x.H, 2*x.W, c))
}
