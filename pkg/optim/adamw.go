// Package optim is the optimizer: AdamW with clipping of the gradients' global
// norm as graph functions. They are pure. The moments go in and come out, and what
// changes with the step is fed in, so there is no hidden counter to save and
// nothing to compile anew.
//
//	o := optim.Default()
//	s := o.Scalars(step, schedule.Rate(cfg, anchor, epoch))                        // on the host
//	params, first, second, norm := o.Update(scalars, params, grads, first, second) // in a graph
package optim

import (
	"math"

	"github.com/gomlx/gomlx/core/graph"
)

// AdamW is the optimizer of Loshchilov & Hutter, "Decoupled Weight Decay
// Regularization" (ICLR 2019), in the order of operations of torch.optim.AdamW.
type AdamW struct {
	Beta1, Beta2 float64
	Epsilon      float64
	WeightDecay  float64 // decoupled: weights shrink by the factor 1 - lr*WeightDecay, whatever their gradients
	ClipNorm     float64 // largest global norm of the gradients; 0 or less never clips
}

// Default returns PyTorch's betas and epsilon, the original's weight decay and clipping.
func Default() AdamW {
	return AdamW{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 1e-5, ClipNorm: 1}
}

// Scalars returns what depends on the step t (1-based) and the learning rate:
// lr, 1-beta1^t and sqrt(1-beta2^t). They are computed here in float64, as
// PyTorch does.
func (o AdamW) Scalars(t int64, lr float64) [3]float64 {
	return [3]float64{lr, 1 - math.Pow(o.Beta1, float64(t)), math.Sqrt(1 - math.Pow(o.Beta2, float64(t)))}
}

// Update writes down one step for all parameters. scalars are those of
// [AdamW.Scalars]; each slice has an entry per parameter, all of one data type;
// first and second are the moments (exp_avg, exp_avg_sq), zeros at first. It
// returns what they are after the step, and the norm of all gradients together
// before clipping, a scalar. With no parameters it panics.
func (o AdamW) Update(scalars [3]*graph.Node, params, gradients, first, second []*graph.Node) (newParams, newFirst, newSecond []*graph.Node, norm *graph.Node) {
	dtype := params[0].DType()
	lr := graph.ConvertDType(scalars[0], dtype)
	correction1, rootCorrection2 := graph.ConvertDType(scalars[1], dtype), graph.ConvertDType(scalars[2], dtype)
	rate := graph.Div(lr, correction1)
	keep := graph.OneMinus(graph.MulScalar(lr, o.WeightDecay))
	norm = globalNorm(gradients)
	shrink := o.shrink(norm)
	for i, p := range params {
		g := gradients[i]
		if shrink != nil {
			g = graph.Mul(g, shrink)
		}
		if o.WeightDecay != 0 {
			p = graph.Mul(p, keep)
		}
		m := graph.Add(graph.MulScalar(first[i], o.Beta1), graph.MulScalar(g, 1-o.Beta1))
		v := graph.Add(graph.MulScalar(second[i], o.Beta2), graph.MulScalar(graph.Mul(g, g), 1-o.Beta2))
		denominator := graph.AddScalar(graph.Div(graph.Sqrt(v), rootCorrection2), o.Epsilon)
		p = graph.Sub(p, graph.Mul(graph.Div(m, denominator), rate))
		newParams, newFirst, newSecond = append(newParams, p), append(newFirst, m), append(newSecond, v)
	}
	return newParams, newFirst, newSecond, norm
}

// shrink is the factor that brings gradients of that norm down to ClipNorm, at
// most 1; nil never clips.
func (o AdamW) shrink(norm *graph.Node) *graph.Node {
	if o.ClipNorm <= 0 {
		return nil
	}
	const epsilon = 1e-6 // of torch.nn.utils.clip_grad_norm_
	clip := graph.Scalar(norm.Graph(), norm.DType(), o.ClipNorm)
	return graph.MinScalar(graph.Div(clip, graph.AddScalar(norm, epsilon)), 1)
}

// globalNorm is the Euclidean norm of all values of all tensors.
func globalNorm(list []*graph.Node) *graph.Node {
	var total *graph.Node
	for _, x := range list {
		s := sumOfSquares(x)
		if total == nil {
			total = s
		} else {
			total = graph.Add(total, s)
		}
	}
	return graph.Sqrt(total)
}

// sumOfSquares chooses by engine: the Go engine is quick at products of matrices
// alone, which XLA on a GPU would take with 10 bits of mantissa (TF32).
func sumOfSquares(x *graph.Node) *graph.Node {
	if x.Graph().Backend().Name() == "xla" {
		return squaresByReduction(x)
	}
	return squaresByProducts(x)
}

func squaresByReduction(x *graph.Node) *graph.Node {
	return graph.ReduceAllSum(graph.Square(x))
}

// squaresByProducts adds row by row, because a float32 that adds millions of
// values one by one keeps few correct digits.
func squaresByProducts(x *graph.Node) *graph.Node {
	rows, size := 1, x.Shape().Size()
	if x.Rank() > 1 {
		rows = x.Shape().Dim(0)
	}
	x = graph.Reshape(x, rows, 1, size/rows)
	return graph.ReduceAllSum(graph.DotGeneral(x, []int{2}, []int{0}, x, []int{2}, []int{0}))
}
