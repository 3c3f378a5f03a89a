package nn

import "github.com/gomlx/gomlx/core/graph"

// Three ways to lay out the taps of a 3x3 convolution with padding 1 so that it
// becomes one product. All compute the same; which is quickest depends on the
// width of the map.

// conv3x3 joins xs along the channels and convolves. The backward pass lays out
// only the taps of dy and uses them for both gradients.
func (l products) conv3x3(xs []Map, w, bias *graph.Node, rectify bool, distance int) Map {
	if distance > 1 {
		return l.dilated(xs, w, bias, rectify, distance)
	}
	first := xs[0]
	for i := range xs {
		if first.W <= together {
			xs[i] = joined(xs[i])
		} else {
			xs[i] = apart(xs[i])
		}
	}
	var t taps
	switch h, wd := first.H, first.W; {
	case wd <= together:
		t = exactTaps{h, wd}
	case wd >= threeTaps:
		t = verticalTaps{h, wd}
	default:
		t = rowTaps{h, wd}
	}
	first = xs[0]
	cout := w.Shape().Dim(0)
	k := len(first.parts)
	var in []*graph.Node
	for _, x := range xs {
		in = append(in, x.parts...)
	}
	at := len(in)
	in = append(in, w)
	if bias != nil {
		in = append(in, bias)
	}
	input := func(in []*graph.Node, i int, more ...*graph.Node) *graph.Node {
		var list []*graph.Node
		for j := range xs {
			list = append(list, in[j*k+i])
		}
		if list = append(list, more...); len(list) == 1 {
			return list[0]
		}
		return graph.Concatenate(list, 1)
	}
	parts := custom(in, func(in []*graph.Node) []*graph.Node {
		out := make([]*graph.Node, k)
		for i := range k {
			x, w := input(in, i), in[at]
			if bias != nil {
				x, w = input(in, i, ones(in[i], in[i].Shape().Dim(0), 1, in[i].Shape().Dim(2))), withBias(w, in[at+1])
			}
			if out[i] = t.forward(x, w); rectify {
				out[i] = relu(out[i])
			}
		}
		return out
	}, func(in, out, dy []*graph.Node) []*graph.Node {
		grads := make([]*graph.Node, len(in))
		var dws, sums []*graph.Node
		for i := range k {
			dy := dy[i]
			if i >= atOnce && first.W >= inTurn {
				dy = after(dy, grads[i-atOnce])
			}
			if rectify {
				dy = graph.Mul(dy, positive(out[i]))
			}
			dx, dw := t.backward(input(in, i), in[at], dy)
			c := 0
			for j, x := range xs {
				grads[j*k+i] = dx(c, c+x.C)
				c += x.C
			}
			dws, sums = append(dws, dw), append(sums, channelSums(dy))
		}
		grads[at] = t.weights(sum(dws))
		if bias != nil {
			grads[at+1] = sum(sums)
		}
		return grads
	})
	return first.with(parts, cout)
}

// On the way back, maps of this width and above go through in turn, so many
// shards at once: the taps laid out for all of them would be most of the memory
// of a step.
const (
	inTurn = 64
	atOnce = 2
)

// after is x, computed only when the other node is.
func after(x, other *graph.Node) *graph.Node {
	ranges := make([]graph.SliceAxisSpec, other.Rank())
	for i := range ranges {
		ranges[i] = graph.AxisElem(0)
	}
	return graph.Add(x, graph.MulScalar(graph.Reshape(graph.Slice(other, ranges...)), 0))
}

// withBias takes the bias into the product: the weight of one more input
// channel, of ones, is the bias in the middle tap.
func withBias(w, bias *graph.Node) *graph.Node {
	cout := w.Shape().Dim(0)
	aside := zeros(w, cout, 4)
	tap := graph.Concatenate([]*graph.Node{aside, graph.Reshape(bias, cout, 1), aside}, 1)
	return graph.Concatenate([]*graph.Node{w, graph.Reshape(tap, cout, 1, 3, 3)}, 1)
}

// taps is one layout. x and dy are [n, C, p], w is [out, in, 3, 3].
type taps interface {
	forward(x, w *graph.Node) *graph.Node
	// backward returns the gradient of a range of input channels, and that of
	// the weights in the layout's own form, which can be summed over parts.
	backward(x, w, dy *graph.Node) (dx func(from, to int) *graph.Node, dw *graph.Node)
	// weights brings the sum to [out, in, 3, 3].
	weights(dw *graph.Node) *graph.Node
}

// flipped exchanges in- and output channels: [out, in, 3, 3] -> [in, out*9]. With
// the taps of dy in reverse order it computes the gradient of the input.
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

// exactTaps lays out exactly what is needed, by nine slices of a padded copy.
// It works on maps that are kept together: [1, C, n*h*w].
type exactTaps struct{ h, w int }

func (t exactTaps) layOut(x *graph.Node, reverse bool) *graph.Node { // -> [1, C*9, n*h*w]
	c, m := x.Shape().Dim(1), x.Shape().Dim(2)
	images := c * m / (t.h * t.w)
	p := graph.Reshape(x, images*t.h, t.w)
	side := zeros(x, images*t.h, 1)
	p = graph.Reshape(graph.Concatenate([]*graph.Node{side, p, side}, 1), images, t.h*(t.w+2))
	row := zeros(x, images, t.w+2)
	p = graph.Reshape(graph.Concatenate([]*graph.Node{row, p, row}, 1), images, t.h+2, t.w+2)
	var parts []*graph.Node
	for i := range 3 {
		for j := range 3 {
			a, b := i, j
			if reverse {
				a, b = 2-i, 2-j
			}
			tap := graph.Slice(p, graph.AxisRange(), graph.AxisRange(a, a+t.h), graph.AxisRange(b, b+t.w))
			parts = append(parts, graph.Reshape(tap, c, m))
		}
	}
	return graph.Reshape(graph.Concatenate(parts, 1), 1, c*9, m)
}

func (t exactTaps) forward(x, w *graph.Node) *graph.Node {
	return batched(stacked(rowsOf(w), 1), t.layOut(x, false))
}

func (t exactTaps) backward(x, w, dy *graph.Node) (func(from, to int) *graph.Node, *graph.Node) {
	columns := t.layOut(dy, true)
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

func (t exactTaps) weights(dw *graph.Node) *graph.Node { return unflipped(dw, dw.Shape().Dim(0)) }

// rowTaps shifts the rows left and right, exactly, by products with 0 and 1;
// the vertical taps of the three are then whole maps shifted along: one
// concatenation of nine, with rows of zeros between them. The outcome has a row
// too many above and below, which are cut off.
type rowTaps struct{ h, w int }

func (t rowTaps) layOut(x *graph.Node, reverse bool) *graph.Node { // -> [n, C*9, (h+2)*w]
	n, c := x.Shape().Dim(0), x.Shape().Dim(1)
	// Several rows side by side: a product of less than 17 columns is not vectorised.
	together := 1
	for n*c*t.h%(2*together) == 0 && together*t.w < 32 {
		together *= 2
	}
	rows := graph.Reshape(x, n*c*t.h/together, together*t.w)
	across := []*graph.Node{plain(rows, constant(x, shift(together, t.w, 1))), rows, plain(rows, constant(x, shift(together, t.w, -1)))}
	var parts []*graph.Node
	behind := 0
	for i := range 3 {
		for j := range 3 {
			a, b := i, j
			if reverse {
				a, b = 2-i, 2-j
			}
			if gap := behind + 2 - a; gap > 0 {
				parts = append(parts, zeros(x, n*c, gap*t.w))
			}
			parts = append(parts, graph.Reshape(across[b], n*c, t.h*t.w))
			behind = a
		}
	}
	if behind > 0 {
		parts = append(parts, zeros(x, n*c, behind*t.w))
	}
	return graph.Reshape(graph.Concatenate(parts, 1), n, c*9, (t.h+2)*t.w)
}

// shift moves each of some rows of n values by so many places; zeros come in.
func shift(rows, n, by int) matrix {
	size := rows * n
	m := matrix{size, size, make([]float64, size*size)}
	for i := range size {
		if to := i%n + by; to >= 0 && to < n {
			m.values[i*size+i+by] = 1
		}
	}
	return m
}

func (t rowTaps) cut(y *graph.Node, from, to int) *graph.Node {
	return graph.Slice(y, graph.AxisRange(), graph.AxisRange(from, to), graph.AxisRange(t.w, (t.h+1)*t.w))
}

func (t rowTaps) forward(x, w *graph.Node) *graph.Node {
	return t.cut(batched(stacked(rowsOf(w), x.Shape().Dim(0)), t.layOut(x, false)), 0, w.Shape().Dim(0))
}

func (t rowTaps) backward(x, w, dy *graph.Node) (func(from, to int) *graph.Node, *graph.Node) {
	n, cin := x.Shape().Dim(0), x.Shape().Dim(1)
	columns := t.layOut(dy, true)
	dx := batched(stacked(flipped(w), n), columns)
	framed := frame(graph.Reshape(x, n*cin, t.h*t.w), t.w, t.w)
	dw := overBatch(batchedT(graph.Reshape(framed, n, cin, (t.h+2)*t.w), columns))
	return func(from, to int) *graph.Node { return t.cut(dx, from, to) }, dw
}

func (t rowTaps) weights(dw *graph.Node) *graph.Node { return unflipped(dw, dw.Shape().Dim(0)) }

// verticalTaps lays out the three vertical taps and computes the three
// horizontal ones as separate outputs, which are added shifted.
type verticalTaps struct{ h, w int }

// layOut gives [n, C*3, (h+2)*(w+2)]: tap i at row R, column c holds x[R-2+i, c-1].
func (t verticalTaps) layOut(x *graph.Node) *graph.Node {
	n, c := x.Shape().Dim(0), x.Shape().Dim(1)
	wide := t.w + 2
	p := t.widened(x)
	one, two := zeros(x, n*c, wide), zeros(x, n*c, 2*wide)
	// Tap i has 2-i rows of zeros before and i behind.
	return graph.Reshape(graph.Concatenate([]*graph.Node{two, p, one, p, one, p, two}, 1), n, c*3, (t.h+2)*wide)
}

// widened puts a column of zeros on either side: [n, C, h*w] -> [n*C, h*(w+2)].
func (t verticalTaps) widened(x *graph.Node) *graph.Node {
	images := x.Shape().Dim(0) * x.Shape().Dim(1)
	side := zeros(x, images*t.h, 1)
	p := graph.Concatenate([]*graph.Node{side, graph.Reshape(x, images*t.h, t.w), side}, 1)
	return graph.Reshape(p, images, t.h*(t.w+2))
}

// layOutAcross gives [n, C*3, (h+2)*(w+2)]: tap j at row R, column c holds x[R-1, c-2+j].
// What moves over the end of a row is the zero at its side.
func (t verticalTaps) layOutAcross(x *graph.Node) *graph.Node {
	n, c := x.Shape().Dim(0), x.Shape().Dim(1)
	wide := t.w + 2
	p := t.widened(x)
	less, row, more := zeros(x, n*c, wide-1), zeros(x, n*c, wide), zeros(x, n*c, wide+1)
	// Tap j has wide+1-j zeros before and wide-1+j behind.
	list := []*graph.Node{more, p, less, row, p, row, less, p, more}
	return graph.Reshape(graph.Concatenate(list, 1), n, c*3, (t.h+2)*wide)
}

// addUp sums the horizontal taps of z [n, 3*C, (h+2)*(w+2)] for some channels.
func (t verticalTaps) addUp(z *graph.Node, from, to int) *graph.Node {
	n, c := z.Shape().Dim(0), z.Shape().Dim(1)/3
	z = graph.Reshape(z, n, 3*c, t.h+2, t.w+2)
	var list []*graph.Node
	for j := range 3 {
		list = append(list, graph.Slice(z, graph.AxisRange(), graph.AxisRange(j*c+from, j*c+to), graph.AxisRange(1, t.h+1), graph.AxisRange(j, j+t.w)))
	}
	return graph.Reshape(sum(list), n, to-from, t.h*t.w)
}

func (t verticalTaps) forward(x, w *graph.Node) *graph.Node {
	cout, cin := w.Shape().Dim(0), w.Shape().Dim(1)
	m := graph.Reshape(graph.TransposeAllAxes(w, 3, 0, 1, 2), 3*cout, cin*3)
	return t.addUp(batched(stacked(m, x.Shape().Dim(0)), t.layOut(x)), 0, cout)
}

func (t verticalTaps) backward(x, w, dy *graph.Node) (func(from, to int) *graph.Node, *graph.Node) {
	n, cout, cin := x.Shape().Dim(0), w.Shape().Dim(0), w.Shape().Dim(1)
	wt := graph.Reshape(graph.TransposeAllAxes(graph.Reverse(w, 2, 3), 3, 1, 0, 2), 3*cin, cout*3)
	columns := t.layOut(dy)
	z := batched(stacked(wt, n), columns)
	dw := overBatch(batchedT(t.layOutAcross(x), columns)) // [in*3(j), out*3(i)]
	return func(from, to int) *graph.Node { return t.addUp(z, from, to) }, dw
}

func (t verticalTaps) weights(dw *graph.Node) *graph.Node {
	cin, cout := dw.Shape().Dim(0)/3, dw.Shape().Dim(1)/3
	return graph.Reverse(graph.TransposeAllAxes(graph.Reshape(dw, cin, 3, cout, 3), 2, 0, 3, 1), 2)
}
