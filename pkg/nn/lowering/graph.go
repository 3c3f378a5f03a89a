package lowering

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// ReLU has gradient 0 at 0, as PyTorch's: of equal operands Max gives it to the first.
func ReLU(x *graph.Node) *graph.Node { return graph.Max(graph.ScalarZero(x.Graph(), x.DType()), x) }

// Sum adds up at least one node.
func Sum(list ...*graph.Node) *graph.Node {
	total := list[0]
	for _, x := range list[1:] {
		total = graph.Add(total, x)
	}
	return total
}

// Zeros is a constant in the precision of like.
func Zeros(like *graph.Node, dims ...int) *graph.Node {
	return graph.Zeros(like.Graph(), shapes.Make(like.DType(), dims...))
}

// Constant puts a matrix into the graph, in the precision of like; in that of
// float32 where like has fewer bits.
func Constant(like *graph.Node, m Matrix) *graph.Node {
	if like.DType() == dtypes.Float64 {
		return graph.Const(like.Graph(), tensors.FromFlatDataAndDimensions(m.Values, m.Rows, m.Columns))
	}
	values := make([]float32, len(m.Values))
	for i, v := range m.Values {
		values[i] = float32(v)
	}
	return graph.Const(like.Graph(), tensors.FromFlatDataAndDimensions(values, m.Rows, m.Columns))
}

// KernelPosition is the matrix [a, b] at row i and column j of a kernel [a, b, k, k].
func KernelPosition(w *graph.Node, i, j int) *graph.Node {
	at := graph.Slice(w, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(i, i+1), graph.AxisRange(j, j+1))
	return graph.Reshape(at, w.Shape().Dim(0), w.Shape().Dim(1))
}
