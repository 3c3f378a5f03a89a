package nn

import (
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn/lowering"
)

// ReLU is the larger of each value and 0.
func ReLU(s *Scope, x Map) Map {
	return s.lower.Pointwise(func(n ...*graph.Node) *graph.Node { return lowering.ReLU(n[0]) }, x)
}

// Add is the sum of two maps of one shape.
func Add(s *Scope, a, b Map) Map {
	return s.lower.Pointwise(func(n ...*graph.Node) *graph.Node { return graph.Add(n[0], n[1]) }, a, b)
}

// AddReLU is ReLU of a sum.
func AddReLU(s *Scope, a, b Map) Map {
	return s.lower.Pointwise(func(n ...*graph.Node) *graph.Node { return lowering.ReLU(graph.Add(n[0], n[1])) }, a, b)
}

// Sigmoid squeezes every value into (0, 1).
func Sigmoid(s *Scope, x Map) Map {
	return s.lower.Pointwise(func(n ...*graph.Node) *graph.Node { return graph.Sigmoid(n[0]) }, x)
}

// Scale multiplies every channel of x by the single channel of by.
func Scale(s *Scope, x, by Map) Map {
	return s.lower.Pointwise(func(n ...*graph.Node) *graph.Node { return graph.Mul(n[0], n[1]) }, x, s.lower.RepeatChannel(by, x.C))
}

// ScaleShift multiplies each channel by a constant and adds another.
func ScaleShift(s *Scope, x Map, scale, shift []float64) Map {
	row := func(v []float64) *graph.Node {
		return graph.Reshape(lowering.Constant(x.Parts[0], lowering.Matrix{Rows: 1, Columns: len(v), Values: v}), len(v))
	}
	return s.lower.Affine(x, row(scale), row(shift), false)
}

// Factors are a trained factor for each channel, 0 at first: PyTorch's
// Parameter(zeros(1, C, 1, 1)).
type Factors struct {
	Name string
	C    int
}

// Entries lists the factors [1, C, 1, 1].
func (f Factors) Entries() []Entry { return []Entry{{Name: f.Name, Shape: []int{1, f.C, 1, 1}}} }

// Forward multiplies each channel by its factor.
func (f Factors) Forward(s *Scope, x Map) Map {
	factors := graph.Reshape(s.value(f.Name), f.C)
	return s.lower.Affine(x, factors, graph.ZerosLike(factors), false)
}

// SimpleGate multiplies the first half of the channels by the second.
func SimpleGate(s *Scope, x Map) Map {
	return s.lower.Pointwise(func(n ...*graph.Node) *graph.Node { return graph.Mul(n[0], n[1]) },
		s.lower.Channels(x, 0, x.C/2), s.lower.Channels(x, x.C/2, x.C))
}

// Mean is the mean of each channel of each image, a map of 1x1: PyTorch's
// AdaptiveAvgPool2d(1).
func Mean(s *Scope, x Map) Map { return s.lower.Mean(x) }

// ScaleChannels multiplies each channel of each image by the value that by, a map of
// 1x1, has for it.
func ScaleChannels(s *Scope, x, by Map) Map {
	return s.lower.Pointwise(func(n ...*graph.Node) *graph.Node { return graph.Mul(n[0], n[1]) }, x, s.lower.RepeatPixel(by, x.H, x.W))
}

// MeanAbsDifference is the mean of |a-b| over all values of two maps of one
// shape. The slope of |x| at 0 is 0, as in PyTorch.
func MeanAbsDifference(s *Scope, a, b Map) *graph.Node {
	difference := s.lower.Pointwise(func(n ...*graph.Node) *graph.Node {
		d := graph.Sub(n[0], n[1])
		return graph.Mul(d, graph.StopGradient(graph.Sign(d)))
	}, a, b)
	var sums []*graph.Node
	for _, p := range difference.Parts {
		// Along rows first: a float32 that adds millions of values one by one
		// keeps few correct digits.
		sums = append(sums, graph.ReduceAllSum(graph.ReduceSum(p, -1)))
	}
	return graph.MulScalar(lowering.Sum(sums...), 1/float64(a.N*a.C*a.H*a.W))
}
