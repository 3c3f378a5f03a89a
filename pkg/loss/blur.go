package loss

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// window is the Gaussian of 11 taps with standard deviation 1.5, as float32
// arithmetic gives it: pytorch_msssim builds it so and widens it afterwards, and
// in float64 the difference shows (3e-7 of the loss).
var window = [taps]float32{
	0.0010283803567290306, 0.0075987582094967365, 0.036000773310661316, 0.10936068743467331, 0.21300552785396576, 0.26601171493530273,
	0.21300552785396576, 0.10936068743467331, 0.036000773310661316, 0.0075987582094967365, 0.0010283803567290306,
}

const taps = 11

// blurred is how many of n values in a row are left after smoothing without padding.
func blurred(n int) int {
	if n < taps {
		return n
	}
	return n - taps + 1
}

// blur smooths planes [m, h, w] with a window, without padding.
type blur struct {
	window [taps]float32
	// along smooths axis 1 or 2 of x [m, h, w], which has at least taps values there.
	along func(window [taps]float32, x *graph.Node, axis int) *graph.Node
	// spread is the transposed operation of along: taps-1 more values come out.
	spread func(window [taps]float32, x *graph.Node, axis int) *graph.Node
}

// blurFor returns the quickest correct formulation for an engine. XLA computes
// a matrix product of float32 on a GPU with 10 bits of mantissa (TF32), which
// ruins a variance, but fuses a sum of shifted images into one loop. The Go
// engine is quick at matrix products alone.
func blurFor(engine string) blur {
	if engine == "xla" {
		return blur{window, shift, spreadShift}
	}
	return blur{window, multiply, spreadMultiply}
}

// weight is what the window adds up to over a plane of h by w, 1 but for rounding.
func (b blur) weight(h, w int) float64 {
	total := 0.0
	for _, v := range b.window {
		total += float64(v)
	}
	weight := 1.0
	for _, n := range []int{h, w} {
		if n >= taps {
			weight *= total
		}
	}
	return weight
}

func (b blur) forward(x *graph.Node) *graph.Node {
	for _, axis := range []int{2, 1} {
		if x.Shape().Dim(axis) >= taps {
			x = b.along(b.window, x, axis)
		}
	}
	return x
}

// backward is the transposed operation of forward, back to planes of h by w.
func (b blur) backward(x *graph.Node, h, w int) *graph.Node {
	if h >= taps {
		x = b.spread(b.window, x, 1)
	}
	if w >= taps {
		x = b.spread(b.window, x, 2)
	}
	return x
}

func multiply(window [taps]float32, x *graph.Node, axis int) *graph.Node {
	n := x.Shape().Dim(axis)
	return product(x, axis, blurred(n), func(from, to int) float32 { return tap(window, from-to) })
}

func spreadMultiply(window [taps]float32, x *graph.Node, axis int) *graph.Node {
	n := x.Shape().Dim(axis)
	return product(x, axis, n+taps-1, func(from, to int) float32 { return tap(window, to-from) })
}

func tap(window [taps]float32, k int) float32 {
	if k < 0 || k >= taps {
		return 0
	}
	return window[k]
}

// product replaces the values along an axis by n sums of them. Operands are
// laid out so that the Go engine need not transpose: [m*h, w] by [w, n] along
// rows; along columns [n, h] by [h, w] for each plane, the matrix repeated.
func product(x *graph.Node, axis, n int, coefficient func(from, to int) float32) *graph.Node {
	m, h, w := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	if axis == 2 {
		matrix := make([]float32, w*n)
		for from := range w {
			for to := range n {
				matrix[from*n+to] = coefficient(from, to)
			}
		}
		rows := graph.Reshape(x, m*h, w)
		return graph.Reshape(graph.DotGeneral(rows, []int{1}, nil, constant(x, matrix, w, n), []int{0}, nil), m, h, n)
	}
	matrices := make([]float32, m*n*h)
	for to := range n {
		for from := range h {
			matrices[to*h+from] = coefficient(from, to)
		}
	}
	for i := range m {
		copy(matrices[i*n*h:], matrices[:n*h])
	}
	return graph.DotGeneral(constant(x, matrices, m, n, h), []int{2}, []int{0}, x, []int{1}, []int{0})
}

// constant has the data type of like.
func constant(like *graph.Node, values []float32, dims ...int) *graph.Node {
	return graph.ConvertDType(graph.Const(like.Graph(), tensors.FromFlatDataAndDimensions(values, dims...)), like.DType())
}

func shift(window [taps]float32, x *graph.Node, axis int) *graph.Node {
	n := blurred(x.Shape().Dim(axis))
	var sum *graph.Node
	for k, weight := range window {
		ranges := []graph.SliceAxisSpec{graph.AxisRange(), graph.AxisRange(), graph.AxisRange()}
		ranges[axis] = graph.AxisRange(k, k+n)
		sum = plus(sum, graph.MulScalar(graph.Slice(x, ranges...), float64(weight)))
	}
	return sum
}

// spreadShift smooths what zeros surround, which is the transposed operation of
// shift because the window is symmetric.
func spreadShift(window [taps]float32, x *graph.Node, axis int) *graph.Node {
	pads := make([]compute.PadAxis, 3)
	pads[axis] = compute.PadAxis{Start: taps - 1, End: taps - 1}
	return shift(window, graph.Pad(x, graph.ScalarZero(x.Graph(), x.DType()), pads...), axis)
}
