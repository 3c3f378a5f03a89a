package im2col

import (
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn/lowering"
)

// layout is one way to lay out what the nine positions of a 3x3 kernel with padding
// 1 see, so that the convolution becomes one product. All compute the same; which is
// quickest depends on the width of the map. x and dy are [n, C, p], w is
// [out, in, 3, 3].
type layout interface {
	forward(x, w *graph.Node) *graph.Node
	// backward returns the gradient of a range of input channels, and that of
	// the weights in the layout's own form, which can be summed over parts.
	backward(x, w, dy *graph.Node) (dx func(from, to int) *graph.Node, dw *graph.Node)
	// weights brings the sum to [out, in, 3, 3].
	weights(dw *graph.Node) *graph.Node
}

const (
	// widestJoined is the widest map that is kept in one part. At 8 pixels and
	// below the borders that the shifted ranges drag along cost more than exact
	// columns.
	widestJoined = 8
	// narrowestVertical is the narrowest map whose convolution lays out only the
	// vertical positions and adds the horizontal ones afterwards: a third of the memory.
	narrowestVertical = 32
)

// layoutFor chooses by the size of a map.
func layoutFor(h, w int) layout {
	switch {
	case w <= widestJoined:
		return exact{h, w}
	case w >= narrowestVertical:
		return vertical{h, w}
	}
	return shiftedRows{h, w}
}

// flipped exchanges in- and output channels: [out, in, 3, 3] -> [in, out*9]. With
// the columns of dy in reverse order it computes the gradient of the input.
func flipped(w *graph.Node) *graph.Node {
	cout, cin := w.Shape().Dim(0), w.Shape().Dim(1)
	return graph.Reshape(graph.TransposeAllAxes(graph.Reshape(w, cout, cin, 9), 1, 0, 2), cin, cout*9)
}

func unflipped(dw *graph.Node, cin int) *graph.Node {
	cout := dw.Shape().Size() / cin / 9
	return graph.Reshape(graph.TransposeAllAxes(graph.Reshape(dw, cin, cout, 9), 1, 0, 2), cout, cin, 3, 3)
}

// rowsOf is w as a matrix [out, in*9].
func rowsOf(w *graph.Node) *graph.Node {
	return graph.Reshape(w, w.Shape().Dim(0), w.Shape().Dim(1)*9)
}

// exact lays out exactly what is needed, by nine slices of a padded copy.
// It works on maps that are joined: [1, C, n*h*w].
type exact struct{ h, w int }

func (l exact) layOut(x *graph.Node, reverse bool) *graph.Node { // -> [1, C*9, n*h*w]
	c, m := x.Shape().Dim(1), x.Shape().Dim(2)
	images := c * m / (l.h * l.w)
	p := graph.Reshape(x, images*l.h, l.w)
	side := lowering.Zeros(x, images*l.h, 1)
	p = graph.Reshape(graph.Concatenate([]*graph.Node{side, p, side}, 1), images, l.h*(l.w+2))
	row := lowering.Zeros(x, images, l.w+2)
	p = graph.Reshape(graph.Concatenate([]*graph.Node{row, p, row}, 1), images, l.h+2, l.w+2)
	var parts []*graph.Node
	for i := range 3 {
		for j := range 3 {
			a, b := i, j
			if reverse {
				a, b = 2-i, 2-j
			}
			position := graph.Slice(p, graph.AxisRange(), graph.AxisRange(a, a+l.h), graph.AxisRange(b, b+l.w))
			parts = append(parts, graph.Reshape(position, c, m))
		}
	}
	return graph.Reshape(graph.Concatenate(parts, 1), 1, c*9, m)
}

func (l exact) forward(x, w *graph.Node) *graph.Node {
	return batched(stacked(rowsOf(w), 1), l.layOut(x, false))
}

func (l exact) backward(x, w, dy *graph.Node) (func(from, to int) *graph.Node, *graph.Node) {
	columns := l.layOut(dy, true)
	dx := batched(stacked(flipped(w), 1), columns)
	cin := x.Shape().Dim(1)
	dw := batchedT(x, columns) // [1, in, out*9]
	return func(from, to int) *graph.Node {
		if from == 0 && to == cin {
			return dx
		}
		return graph.Slice(dx, graph.AxisRange(), graph.AxisRange(from, to))
	}, graph.Reshape(dw, cin, dw.Shape().Size()/cin)
}

func (l exact) weights(dw *graph.Node) *graph.Node { return unflipped(dw, dw.Shape().Dim(0)) }

// shiftedRows shifts the rows left and right, exactly, by products with 0 and 1;
// the vertical positions of the three are then whole maps shifted along: one
// concatenation of nine, with rows of zeros between them. The outcome has a row
// too many above and below, which are cut off.
type shiftedRows struct{ h, w int }

func (l shiftedRows) layOut(x *graph.Node, reverse bool) *graph.Node { // -> [n, C*9, (h+2)*w]
	n, c := x.Shape().Dim(0), x.Shape().Dim(1)
	// Several rows side by side: a product of less than 17 columns is not vectorised.
	beside := 1
	for n*c*l.h%(2*beside) == 0 && beside*l.w < 32 {
		beside *= 2
	}
	rows := graph.Reshape(x, n*c*l.h/beside, beside*l.w)
	across := []*graph.Node{plain(rows, lowering.Constant(x, shift(beside, l.w, 1))), rows, plain(rows, lowering.Constant(x, shift(beside, l.w, -1)))}
	var parts []*graph.Node
	behind := 0
	for i := range 3 {
		for j := range 3 {
			a, b := i, j
			if reverse {
				a, b = 2-i, 2-j
			}
			if gap := behind + 2 - a; gap > 0 {
				parts = append(parts, lowering.Zeros(x, n*c, gap*l.w))
			}
			parts = append(parts, graph.Reshape(across[b], n*c, l.h*l.w))
			behind = a
		}
	}
	if behind > 0 {
		parts = append(parts, lowering.Zeros(x, n*c, behind*l.w))
	}
	return graph.Reshape(graph.Concatenate(parts, 1), n, c*9, (l.h+2)*l.w)
}

// shift moves each of some rows of n values by so many places; zeros come in.
func shift(rows, n, by int) lowering.Matrix {
	size := rows * n
	m := lowering.NewMatrix(size, size)
	for i := range size {
		if to := i%n + by; to >= 0 && to < n {
			m.Values[i*size+i+by] = 1
		}
	}
	return m
}

func (l shiftedRows) cut(y *graph.Node, from, to int) *graph.Node {
	return graph.Slice(y, graph.AxisRange(), graph.AxisRange(from, to), graph.AxisRange(l.w, (l.h+1)*l.w))
}

func (l shiftedRows) forward(x, w *graph.Node) *graph.Node {
	return l.cut(batched(stacked(rowsOf(w), x.Shape().Dim(0)), l.layOut(x, false)), 0, w.Shape().Dim(0))
}

func (l shiftedRows) backward(x, w, dy *graph.Node) (func(from, to int) *graph.Node, *graph.Node) {
	n, cin := x.Shape().Dim(0), x.Shape().Dim(1)
	columns := l.layOut(dy, true)
	dx := batched(stacked(flipped(w), n), columns)
	framed := frame(graph.Reshape(x, n*cin, l.h*l.w), l.w, l.w)
	dw := overBatch(batchedT(graph.Reshape(framed, n, cin, (l.h+2)*l.w), columns))
	return func(from, to int) *graph.Node { return l.cut(dx, from, to) }, dw
}

func (l shiftedRows) weights(dw *graph.Node) *graph.Node { return unflipped(dw, dw.Shape().Dim(0)) }

// vertical lays out the three vertical positions and computes the three
// horizontal ones as separate outputs, which are added shifted.
type vertical struct{ h, w int }

// layOut gives [n, C*3, (h+2)*(w+2)]: position i at row R, column c holds x[R-2+i, c-1].
func (l vertical) layOut(x *graph.Node) *graph.Node {
	n, c := x.Shape().Dim(0), x.Shape().Dim(1)
	wide := l.w + 2
	p := l.widened(x)
	one, two := lowering.Zeros(x, n*c, wide), lowering.Zeros(x, n*c, 2*wide)
	// Position i has 2-i rows of zeros before and i behind.
	return graph.Reshape(graph.Concatenate([]*graph.Node{two, p, one, p, one, p, two}, 1), n, c*3, (l.h+2)*wide)
}

// widened puts a column of zeros on either side: [n, C, h*w] -> [n*C, h*(w+2)].
func (l vertical) widened(x *graph.Node) *graph.Node {
	images := x.Shape().Dim(0) * x.Shape().Dim(1)
	side := lowering.Zeros(x, images*l.h, 1)
	p := graph.Concatenate([]*graph.Node{side, graph.Reshape(x, images*l.h, l.w), side}, 1)
	return graph.Reshape(p, images, l.h*(l.w+2))
}

// layOutAcross gives [n, C*3, (h+2)*(w+2)]: position j at row R, column c holds x[R-1, c-2+j].
// What moves over the end of a row is the zero at its side.
func (l vertical) layOutAcross(x *graph.Node) *graph.Node {
	n, c := x.Shape().Dim(0), x.Shape().Dim(1)
	wide := l.w + 2
	p := l.widened(x)
	less, row, more := lowering.Zeros(x, n*c, wide-1), lowering.Zeros(x, n*c, wide), lowering.Zeros(x, n*c, wide+1)
	// Position j has wide+1-j zeros before and wide-1+j behind.
	list := []*graph.Node{more, p, less, row, p, row, less, p, more}
	return graph.Reshape(graph.Concatenate(list, 1), n, c*3, (l.h+2)*wide)
}

// addUp sums the horizontal positions of z [n, 3*C, (h+2)*(w+2)] for some channels.
func (l vertical) addUp(z *graph.Node, from, to int) *graph.Node {
	n, c := z.Shape().Dim(0), z.Shape().Dim(1)/3
	z = graph.Reshape(z, n, 3*c, l.h+2, l.w+2)
	var list []*graph.Node
	for j := range 3 {
		list = append(list, graph.Slice(z, graph.AxisRange(), graph.AxisRange(j*c+from, j*c+to), graph.AxisRange(1, l.h+1), graph.AxisRange(j, j+l.w)))
	}
	return graph.Reshape(lowering.Sum(list...), n, to-from, l.h*l.w)
}

func (l vertical) forward(x, w *graph.Node) *graph.Node {
	cout, cin := w.Shape().Dim(0), w.Shape().Dim(1)
	m := graph.Reshape(graph.TransposeAllAxes(w, 3, 0, 1, 2), 3*cout, cin*3)
	return l.addUp(batched(stacked(m, x.Shape().Dim(0)), l.layOut(x)), 0, cout)
}

func (l vertical) backward(x, w, dy *graph.Node) (func(from, to int) *graph.Node, *graph.Node) {
	n, cout, cin := x.Shape().Dim(0), w.Shape().Dim(0), w.Shape().Dim(1)
	wt := graph.Reshape(graph.TransposeAllAxes(graph.Reverse(w, 2, 3), 3, 1, 0, 2), 3*cin, cout*3)
	columns := l.layOut(dy)
	z := batched(stacked(wt, n), columns)
	dw := overBatch(batchedT(l.layOutAcross(x), columns)) // [in*3(j), out*3(i)]
	return func(from, to int) *graph.Node { return l.addUp(z, from, to) }, dw
}

func (l vertical) weights(dw *graph.Node) *graph.Node {
	cin, cout := dw.Shape().Dim(0)/3, dw.Shape().Dim(1)/3
	return graph.Reverse(graph.TransposeAllAxes(graph.Reshape(dw, cin, 3, cout, 3), 2, 0, 3, 1), 2)
}
