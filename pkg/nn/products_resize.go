package nn

import "github.com/gomlx/gomlx/core/graph"

// maxPool takes the largest of each 2x2 block; an odd last row or column is
// left out.
func (products) maxPool(x Map) Map {
	h, w := x.H, x.W
	oh, ow := h/2, w/2
	blocks := func(s *graph.Node) (n, images int, quarter func(i, j int) *graph.Node) {
		n, images = s.Shape().Dim(0), s.Shape().Size()/(h*w)
		planes := graph.Reshape(s, images, h, w)
		return n, images, func(i, j int) *graph.Node {
			return graph.Slice(planes, graph.AxisRange(), graph.AxisRange(i, 2*oh).Stride(2), graph.AxisRange(j, 2*ow).Stride(2))
		}
	}
	parts := custom(x.parts, func(in []*graph.Node) []*graph.Node {
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
				rows = append(rows, plain(graph.Concatenate(pair, 1), constant(s, interleave(ow, w))))
			}
			// Rows 2r and 2r+1 stand side by side, which is the order in memory.
			g := graph.Reshape(graph.Concatenate(rows, 1), images, 2*oh*w)
			if h > 2*oh {
				g = graph.Concatenate([]*graph.Node{g, zeros(s, images, w)}, 1)
			}
			grads = append(grads, graph.Reshape(g, s.Shape().Dimensions...))
		}
		return grads
	})
	x.H, x.W = oh, ow
	return x.with(parts, x.C)
}

// interleave takes [left columns | right columns], n each, to alternating ones,
// and w-2n columns of zeros behind.
func interleave(n, w int) matrix {
	m := matrix{2 * n, w, make([]float64, 2*n*w)}
	for i := range n {
		m.values[i*w+2*i] = 1
		m.values[(n+i)*w+2*i+1] = 1
	}
	return m
}

// resize is two products, one over the rows and one over the columns of each image.
func (products) resize(x Map, rows, columns matrix) Map {
	x = apart(x)
	apply := func(s *graph.Node, rows, columns matrix) *graph.Node {
		n, images := s.Shape().Dim(0), s.Shape().Size()/(rows.columns*columns.columns)
		y := batched(stacked(constant(s, rows), images), graph.Reshape(s, images, rows.columns, columns.columns))
		y = plain(graph.Reshape(y, images*rows.rows, columns.columns), constant(s, columns.transposed()))
		return graph.Reshape(y, n, x.C, rows.rows*columns.rows)
	}
	all := func(list []*graph.Node, rows, columns matrix) []*graph.Node {
		out := make([]*graph.Node, len(list))
		for i, s := range list {
			out[i] = apply(s, rows, columns)
		}
		return out
	}
	parts := custom(x.parts,
		func(in []*graph.Node) []*graph.Node { return all(in, rows, columns) },
		func(_, _, dy []*graph.Node) []*graph.Node { return all(dy, rows.transposed(), columns.transposed()) })
	x.H, x.W = rows.rows, columns.rows
	return x.with(parts, x.C)
}

func (products) pad(x Map, left, right, top, bottom int) Map {
	x = apart(x)
	h, w := x.H, x.W
	ph, pw := h+top+bottom, w+left+right
	parts := custom(x.parts, func(in []*graph.Node) []*graph.Node {
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
	return x.with(parts, x.C)
}

// frame puts zeros before and behind the last axis of a matrix.
func frame(x *graph.Node, before, behind int) *graph.Node {
	list := []*graph.Node{x}
	if before > 0 {
		list = append([]*graph.Node{zeros(x, x.Shape().Dim(0), before)}, list...)
	}
	if behind > 0 {
		list = append(list, zeros(x, x.Shape().Dim(0), behind))
	}
	if len(list) == 1 {
		return x
	}
	return graph.Concatenate(list, 1)
}

// transpose2x2: each pixel becomes a block of 2x2 that no other touches, so it
// is a product that gives four values a pixel, and an interleaving.
func (products) transpose2x2(x Map, w, bias *graph.Node) Map {
	x = apart(x)
	return transposed(x, x.H, x.W, w, bias, func(s *graph.Node) [4]*graph.Node {
		var quarters [4]*graph.Node
		for q := range quarters {
			tap := tapOf(w, q/2, q%2)
			quarters[q] = batched(stacked(tap, s.Shape().Dim(0)), s)
		}
		return quarters
	})
}

// transpose4x4: output row 2r+a gets input rows r+a-1 and r+a through two of the
// four taps; likewise the columns. So each quarter is a sum of four products.
func (products) transpose4x4(x Map, w, bias *graph.Node) Map {
	framed := products{}.pad(x, 1, 1, 1, 1)
	h, wd := x.H, x.W
	return transposed(framed, h, wd, w, bias, func(s *graph.Node) [4]*graph.Node {
		n, c := s.Shape().Dim(0), s.Shape().Dim(1)
		p := graph.Reshape(s, n, c, h+2, wd+2)
		var quarters [4]*graph.Node
		for q := range quarters {
			a, b := q/2, q%2
			var list []*graph.Node
			for i := range 2 { // row of the frame r+a+i meets tap 3-a-2i
				for j := range 2 {
					window := graph.Slice(p, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(a+i, a+i+h), graph.AxisRange(b+j, b+j+wd))
					list = append(list, batched(stacked(tapOf(w, 3-a-2*i, 3-b-2*j), n), graph.Reshape(window, n, c, h*wd)))
				}
			}
			quarters[q] = sum(list)
		}
		return quarters
	})
}

// tapOf is one tap of a transposed weight [in, out, k, k], as [out, in].
func tapOf(w *graph.Node, i, j int) *graph.Node {
	tap := graph.Slice(w, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(i, i+1), graph.AxisRange(j, j+1))
	return graph.TransposeAllAxes(graph.Reshape(tap, w.Shape().Dim(0), w.Shape().Dim(1)), 1, 0)
}

// transposed interleaves the four quarters that compute gives for each part,
// each [n, out, h*w] for the pixels at even or odd rows and columns.
func transposed(x Map, h, w int, weight, bias *graph.Node, compute func(s *graph.Node) [4]*graph.Node) Map {
	x = apart(x)
	cout := weight.Shape().Dim(1)
	parts := make([]*graph.Node, len(x.parts))
	for i, s := range x.parts {
		n := s.Shape().Dim(0)
		quarters := compute(s)
		var rows []*graph.Node
		for a := range 2 {
			pair := []*graph.Node{graph.Reshape(quarters[2*a], n*cout*h, w), graph.Reshape(quarters[2*a+1], n*cout*h, w)}
			rows = append(rows, plain(graph.Concatenate(pair, 1), constant(s, interleave(w, 2*w))))
		}
		parts[i] = graph.Reshape(graph.Concatenate(rows, 1), n, cout, 4*h*w)
		if bias != nil {
			parts[i] = graph.Add(parts[i], graph.BroadcastToShape(graph.Reshape(bias, 1, cout, 1), parts[i].Shape()))
		}
	}
	x.H, x.W = 2*h, 2*w
	return x.with(parts, cout)
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
		rows = append(rows, plain(graph.Concatenate(pair, 1), constant(s, interleave(w, 2*w))))
	}
	return graph.Reshape(graph.Concatenate(rows, 1), images/c, c, 4*h*w)
}

func (products) unshuffle(x Map) Map {
	x = apart(x)
	c := x.C
	x.H, x.W = x.H/2, x.W/2
	return x.with(eachOf(x.parts, c, x.H, x.W, quarters, blocks), 4*c)
}

func (products) shuffle(x Map) Map {
	x = apart(x)
	c := x.C / 4
	parts := eachOf(x.parts, c, x.H, x.W, blocks, quarters)
	x.H, x.W = 2*x.H, 2*x.W
	return x.with(parts, c)
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
	return custom(parts,
		func(in []*graph.Node) []*graph.Node { return all(in, do) },
		func(_, _, dy []*graph.Node) []*graph.Node { return all(dy, undo) })
}
