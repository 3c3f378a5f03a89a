package step

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/dataset"
)

// A batch that does not fit into memory is cut into micro-batches: their
// gradients are added up, each weighted by its share of the batch, and one
// optimizer step is taken with the sum. The step, its learning rate and its
// place in the schedule are those of the whole batch; only batch norm sees
// micro-batches.

// gradientGraph adds one micro-batch's share to the gradients.
//
//	in:  share of the batch in (0, 1], a micro-batch, weights, statistics, gradients so far
//	out: [loss, l1, ssim], the new statistics, gradients so far
func (e *Engine) gradientGraph(in []*graph.Node) []*graph.Node {
	share := in[0]
	b, in := e.takeBatch(in[1:])
	weights, in := take(in, len(e.weights))
	statistics, sums := take(in, len(e.statistics))

	scope := e.scope(b.degraded.Graph(), true, weights, statistics)
	total, l1, ssim := e.measure(e.restored(scope, b), b)
	out := []*graph.Node{graph.Stack([]*graph.Node{total, l1, ssim}, 0)}
	updates := scope.Updates()
	for _, entry := range e.statistics {
		out = append(out, updates[entry.Name])
	}
	for i, gradient := range graph.Gradient(total, weights...) {
		out = append(out, graph.Add(sums[i], graph.Mul(gradient, share)))
	}
	return out
}

// applyGraph takes the optimizer step with gradients that are complete.
//
//	in:  lr, 1-beta1^t, sqrt(1-beta2^t), weights, first and second moments, gradients
//	out: gradient norm, weights, first and second moments
func (e *Engine) applyGraph(in []*graph.Node) []*graph.Node {
	scalars, in := [3]*graph.Node(in[:3]), in[3:]
	weights, in := take(in, len(e.weights))
	first, in := take(in, len(e.weights))
	second, gradients := take(in, len(e.weights))
	weights, first, second, norm := e.optimizer.Update(scalars, weights, gradients, first, second)
	return append(append(append([]*graph.Node{norm}, weights...), first...), second...)
}

// advanceInParts is advance with micro-batches of at most micro samples.
func (e *Engine) advanceInParts(at *Arrays, b *dataset.Batch, micro int, t int64, lr float64) (*Arrays, Measures, error) {
	if e.zeros == nil {
		e.zeros = e.zeroGradients()
	}
	var sum Measures
	statistics, gradients := at.statistics, e.zeros
	done := func() { // gives back what belongs to this step alone
		if gradients[0] != e.zeros[0] {
			release(gradients...)
		}
		if len(statistics) > 0 && statistics[0] != at.statistics[0] {
			release(statistics...)
		}
	}
	for from := 0; from < b.N; from += micro {
		part := slice(b, from, min(from+micro, b.N))
		share := float64(part.N) / float64(b.N)
		in := e.Input(part, micro).take()
		out, err := e.gradient.call([]float32{float32(share)}, in, at.weights, statistics, gradients)
		release(in...)
		done()
		if err != nil {
			return nil, Measures{}, err
		}
		var m Measures
		read(out.take(1), &m.Loss, &m.L1, &m.SSIM)
		statistics, gradients = out.take(len(e.statistics)), out.take(len(e.weights))
		sum.Loss += m.Loss * share
		sum.L1 += m.L1 * share
		sum.SSIM += m.SSIM * share
	}
	out, err := e.apply.call(e.scalars(t, lr), at.weights, at.first, at.second, gradients)
	if err != nil {
		done()
		return nil, Measures{}, err
	}
	release(gradients...)
	norm, n := out.take(1), len(e.weights)
	sum.GradientNorm = float64(tensors.ToScalar[float32](norm[0]))
	release(norm...)
	return &Arrays{weights: out.take(n), first: out.take(n), second: out.take(n), statistics: statistics}, sum, nil
}

func (e *Engine) zeroGradients() []*tensors.Tensor {
	var zeros []*tensors.Tensor
	for range max(e.Devices, 1) {
		for _, entry := range e.weights {
			n := 1
			for _, d := range entry.Shape {
				n *= d
			}
			zeros = append(zeros, tensors.FromFlatDataAndDimensions(make([]float32, n), entry.Shape...))
		}
	}
	return zeros
}

// slice returns samples from..to-1 of a batch without copying.
func slice(b *dataset.Batch, from, to int) *dataset.Batch {
	n := 3 * b.Size * b.Size
	part := &dataset.Batch{
		N: to - from, Size: b.Size, From: b.From + from,
		Degraded: b.Degraded[from*n : to*n], Clean: b.Clean[from*n : to*n],
	}
	if b.Levels != nil {
		part.Levels = b.Levels[from:to]
	}
	return part
}
