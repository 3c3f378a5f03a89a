// Package optim is the optimizer as graph functions: AdamW with clipping of the
// global gradient norm, and the learning-rate schedule. Both are pure: the
// moments go in and come out, and the rate depends on the epoch alone, so there
// is no hidden counter to save.
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
	WeightDecay  float64 // decoupled: weights shrink by the factor 1 - lr*WeightDecay
	ClipNorm     float64 // largest global norm of the gradients; 0 never clips
}

// Default returns PyTorch's betas and epsilon, the original's weight decay and clipping.
func Default() AdamW {
	return AdamW{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 1e-5, ClipNorm: 1}
}

// Scalars returns what depends on the step t (1-based) and the learning rate:
// lr, 1-beta1^t and sqrt(1-beta2^t). They are computed here in float64, as
// PyTorch does, and fed to the graph, so that nothing is compiled anew.
func (o AdamW) Scalars(t int64, lr float64) [3]float64 {
	return [3]float64{lr, 1 - math.Pow(o.Beta1, float64(t)), math.Sqrt(1 - math.Pow(o.Beta2, float64(t)))}
}

// Update writes down one step for all parameters. Each slice has an entry per
// parameter; first and second are the moments (exp_avg, exp_avg_sq). It returns
// what they are after the step, and the global norm before clipping, a scalar.
func (o AdamW) Update(scalars [3]*graph.Node, params, gradients, first, second []*graph.Node) (newParams, newFirst, newSecond []*graph.Node, norm *graph.Node) {
	var squares *graph.Node
	for _, g := range gradients {
		flat := graph.Reshape(g, g.Shape().Size())
		s := graph.DotGeneral(flat, []int{0}, nil, flat, []int{0}, nil)
		if squares == nil {
			squares = s
		} else {
			squares = graph.Add(squares, s)
		}
	}
	norm = graph.Sqrt(squares)
	var shrink *graph.Node
	if o.ClipNorm > 0 {
		// 1e-6 as in torch.nn.utils.clip_grad_norm_.
		shrink = graph.MinScalar(graph.Div(graph.Scalar(norm.Graph(), norm.DType(), o.ClipNorm), graph.AddScalar(norm, 1e-6)), 1)
	}
	for i, p := range params {
		s := [3]*graph.Node{}
		for j := range s {
			s[j] = graph.ConvertDType(scalars[j], p.DType())
		}
		lr, correction1, rootCorrection2 := s[0], s[1], s[2]
		g := gradients[i]
		if shrink != nil {
			g = graph.Mul(g, shrink)
		}
		p = graph.Mul(p, graph.OneMinus(graph.MulScalar(lr, o.WeightDecay)))
		m := graph.Add(graph.MulScalar(first[i], o.Beta1), graph.MulScalar(g, 1-o.Beta1))
		v := graph.Add(graph.MulScalar(second[i], o.Beta2), graph.MulScalar(graph.Mul(g, g), 1-o.Beta2))
		denominator := graph.AddScalar(graph.Div(graph.Sqrt(v), rootCorrection2), o.Epsilon)
		p = graph.Sub(p, graph.Mul(graph.Div(lr, correction1), graph.Div(m, denominator)))
		newParams, newFirst, newSecond = append(newParams, p), append(newFirst, m), append(newSecond, v)
	}
	return newParams, newFirst, newSecond, norm
}
