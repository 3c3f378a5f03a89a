package im2col

import (
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn/lowering"
)

// MaxPool takes the largest of each 2x2 block; an odd last row or column is
// left out.
func (Lowering) MaxPool(x lowering.Map) lowering.Map {
	h, w := x.H, x.W
	oh, ow := h/2, w/2
	blocks := func(s *graph.Node) (n, images int, quarter func(i, j int) *graph.Node) {
		n, images = s.Shape().Dim(0), s.Shape().Size()/(h*w)
		planes := graph.Reshape(s, images, h, w)
		return n, images, func(i, j int) *graph.Node {
			return graph.Slice(planes, graph.AxisRange(), graph.AxisRange(i, 2*oh).Stride(2), graph.AxisRange(j, 2*ow).Stride(2))
		}
	}
	parts := lowering.WithGradient(x.Parts, func(in []*graph.Node) []*graph.Node {
		var out []*graph.Node
		for _, s := range in {
			n, _, q := blocks(s)
			largest := graph.Max(graph.Max(q(0, 0), q(0, 1)), graph.Max(q(1, 0), q(1, 1)))
			out = append(out, graph.Reshape(largest, n, x.C, largest.Shape().Size()/n/x.C))
		}
		return out
	}, func(in, out, dy []*graph.Node) []*graph.Node {
		var grads []*graph.Node
		for i, s := range in {
			_, images, q := blocks(s)
			left := graph.Reshape(dy[i], images, oh, ow)
			largest := graph.Reshape(out[i], images, oh, ow)
			zero := graph.ZerosLike(left)
			var rows []*graph.Node
			for a := range 2 {
				var pair []*graph.Node
				for b := range 2 {
					// The first of equal values takes the gradient, and leaves none.
					hit := graph.Equal(q(a, b), largest)
					pair = append(pair, graph.Reshape(graph.Where(hit, left, zero), images*oh, ow))
					left = graph.Where(hit, zero, left)
				}
				rows = append(rows, plain(graph.Concatenate(pair, 1), lowering.Constant(s, interleave(ow, w))))
			}
			// Rows 2r and 2r+1 stand side by side, which is the order in memory.
			g := graph.Reshape(graph.Concatenate(rows, 1), images, 2*oh*w)
			if h > 2*oh {
				g = graph.Concatenate([]*graph.Node{g, lowering.Zeros(s, images, w)}, 1)
			}
			grads = append(grads, graph.Reshape(g, s.Shape().Dimensions...))
		}
		return grads
	})
	x.H, x.W = oh, ow
	return with(x, parts, x.C)
}

func (Lowering) Mean(x lowering.Map) lowering.Map {
	x = apart(x)
	var parts []*graph.Node
	for _, s := range x.Parts {
		share := graph.MulScalar(ones(s, s.Shape().Dim(2), 1), 1/float64(x.H*x.W))
		n := s.Shape().Dim(0)
		parts = append(parts, graph.Reshape(plain(graph.Reshape(s, n*x.C, x.H*x.W), share), n, x.C, 1))
	}
	x.H, x.W = 1, 1
	return with(x, parts, x.C)
}
