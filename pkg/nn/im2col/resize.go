package im2col

import (
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn/lowering"
)

// Resize is two products, one over the rows and one over the columns of each image.
func (Lowering) Resize(x lowering.Map, rows, columns lowering.Matrix) lowering.Map {
	x = apart(x)
	apply := func(s *graph.Node, rows, columns lowering.Matrix) *graph.Node {
		n, images := s.Shape().Dim(0), s.Shape().Size()/(rows.Columns*columns.Columns)
		y := batched(stacked(lowering.Constant(s, rows), images), graph.Reshape(s, images, rows.Columns, columns.Columns))
		y = plain(graph.Reshape(y, images*rows.Rows, columns.Columns), lowering.Constant(s, columns.Transposed()))
		return graph.Reshape(y, n, x.C, rows.Rows*columns.Rows)
	}
	all := func(list []*graph.Node, rows, columns lowering.Matrix) []*graph.Node {
		out := make([]*graph.Node, len(list))
		for i, s := range list {
			out[i] = apply(s, rows, columns)
		}
		return out
	}
	parts := lowering.WithGradient(x.Parts,
		func(in []*graph.Node) []*graph.Node { return all(in, rows, columns) },
		func(_, _, dy []*graph.Node) []*graph.Node { return all(dy, rows.Transposed(), columns.Transposed()) })
	x.H, x.W = rows.Rows, columns.Rows
	return with(x, parts, x.C)
}

func (l Lowering) Double(x lowering.Map) lowering.Map {
	return l.Resize(x, lowering.HalfPixels(x.H, 2*x.H), lowering.HalfPixels(x.W, 2*x.W))
}

func (Lowering) Pad(x lowering.Map, left, right, top, bottom int) lowering.Map {
	x = apart(x)
	h, w := x.H, x.W
	ph, pw := h+top+bottom, w+left+right
	parts := lowering.WithGradient(x.Parts, func(in []*graph.Node) []*graph.Node {
		var out []*graph.Node
		for _, s := range in {
			images := s.Shape().Size() / (h * w)
			p := frame(graph.Reshape(s, images*h, w), left, right)
			p = frame(graph.Reshape(p, images, h*pw), top*pw, bottom*pw)
			out = append(out, graph.Reshape(p, s.Shape().Dim(0), x.C, ph*pw))
		}
		return out
	}, func(in, _, dy []*graph.Node) []*graph.Node {
		var grads []*graph.Node
		for i, d := range dy {
			images := d.Shape().Size() / (ph * pw)
			g := graph.Slice(graph.Reshape(d, images, ph, pw), graph.AxisRange(), graph.AxisRange(top, top+h), graph.AxisRange(left, left+w))
			grads = append(grads, graph.Reshape(g, in[i].Shape().Dimensions...))
		}
		return grads
	})
	x.H, x.W = ph, pw
	return with(x, parts, x.C)
}

// frame puts zeros before and behind the last axis of a matrix.
func frame(x *graph.Node, before, behind int) *graph.Node {
	list := []*graph.Node{x}
	if before > 0 {
		list = append([]*graph.Node{lowering.Zeros(x, x.Shape().Dim(0), before)}, list...)
	}
	if behind > 0 {
		list = append(list, lowering.Zeros(x, x.Shape().Dim(0), behind))
	}
	if len(list) == 1 {
		return x
	}
	return graph.Concatenate(list, 1)
}

func (Lowering) Crop(x lowering.Map, top, left, h, w int) lowering.Map {
	x = apart(x)
	var parts []*graph.Node
	for _, s := range x.Parts {
		n := s.Shape().Dim(0)
		cut := graph.Slice(graph.Reshape(s, n, x.C, x.H, x.W), graph.AxisRange(), graph.AxisRange(), graph.AxisRange(top, top+h), graph.AxisRange(left, left+w))
		parts = append(parts, graph.Reshape(cut, n, x.C, h*w))
	}
	x.H, x.W = h, w
	return with(x, parts, x.C)
}

// quarters are the pixels of blocks of 2x2 as channels, [m, 4*C, h*w]; blocks is
// the inverse. Each is the other's gradient.
func quarters(s *graph.Node, c, h, w int) *graph.Node {
	images := s.Shape().Size() / (4 * h * w)
	planes := graph.Reshape(s, images, 2*h, 2*w)
	var list []*graph.Node
	for q := range 4 {
		list = append(list, graph.Reshape(graph.Slice(planes, graph.AxisRange(), graph.AxisRange(q/2, 2*h).Stride(2), graph.AxisRange(q%2, 2*w).Stride(2)), images, h*w))
	}
	return graph.Reshape(graph.Concatenate(list, 1), images/c, 4*c, h*w)
}

func blocks(s *graph.Node, c, h, w int) *graph.Node {
	images := s.Shape().Size() / (4 * h * w)
	each := graph.Reshape(s, images, 4*h*w)
	var rows []*graph.Node
	for a := range 2 {
		var pair []*graph.Node
		for b := range 2 {
			q := (2*a + b) * h * w
			pair = append(pair, graph.Reshape(graph.Slice(each, graph.AxisRange(), graph.AxisRange(q, q+h*w)), images*h, w))
		}
		rows = append(rows, plain(graph.Concatenate(pair, 1), lowering.Constant(s, interleave(w, 2*w))))
	}
	return graph.Reshape(graph.Concatenate(rows, 1), images/c, c, 4*h*w)
}

func (Lowering) PixelUnshuffle(x lowering.Map) lowering.Map {
	x = apart(x)
	c := x.C
	x.H, x.W = x.H/2, x.W/2
	return with(x, eachOf(x.Parts, c, x.H, x.W, quarters, blocks), 4*c)
}

func (Lowering) PixelShuffle(x lowering.Map) lowering.Map {
	x = apart(x)
	c := x.C / 4
	parts := eachOf(x.Parts, c, x.H, x.W, blocks, quarters)
	x.H, x.W = 2*x.H, 2*x.W
	return with(x, parts, c)
}

// eachOf does to all parts what has an inverse that is its gradient.
func eachOf(parts []*graph.Node, c, h, w int, do, undo func(s *graph.Node, c, h, w int) *graph.Node) []*graph.Node {
	all := func(list []*graph.Node, f func(s *graph.Node, c, h, w int) *graph.Node) []*graph.Node {
		out := make([]*graph.Node, len(list))
		for i, s := range list {
			out[i] = f(s, c, h, w)
		}
		return out
	}
	return lowering.WithGradient(parts,
		func(in []*graph.Node) []*graph.Node { return all(in, do) },
		func(_, _, dy []*graph.Node) []*graph.Node { return all(dy, undo) })
}

// interleave takes [left columns | right columns], n each, to alternating ones,
// and w-2n columns of zeros behind.
func interleave(n, w int) lowering.Matrix {
	m := lowering.NewMatrix(2*n, w)
	for i := range n {
		m.Values[i*w+2*i] = 1
		m.Values[(n+i)*w+2*i+1] = 1
	}
	return m
}
