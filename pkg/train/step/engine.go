// Package step computes what training asks of a device: an optimizer step, whole or in
// parts, the moving average of the weights, and the loss of a validation batch.
//
//	e, err := step.New(backend, net, loss, optim.Default(), step.Options{})
//	at := e.Upload(state)
//	next, measures, err := e.Advance(at, e.Input(batch, 0), 0, 1, 1e-3)
package step

import (
	"fmt"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
	"rekindle/pkg/loss"
	"rekindle/pkg/model"
	"rekindle/pkg/nn"
	"rekindle/pkg/optim"
)

// Engine holds the compiled computations of training. Each is a pure function
// of its inputs: a step reads the arrays of one moment and makes new ones for
// the next, and nothing is given away before it succeeded. So a step that fails
// or is abandoned half-way costs nothing: the arrays before it are intact. The
// price is a second set of weights and moments while a step runs.
type Engine struct {
	backend   compute.Backend
	net       *model.Network
	loss      loss.Combined
	optimizer optim.AdamW
	Options

	weights    []nn.Entry // trained, in the optimizer's order
	statistics []nn.Entry // batch norm's running means and variances

	step, eval      computation
	gradient, apply computation // of a batch in parts
	average         computation // of weights and statistics

	zeros []*tensors.Tensor // gradients of nothing, see advanceInParts
}

// Options are ways of computing the same.
type Options struct {
	Mixed     bool // convolutions in bfloat16
	Recompute bool // blocks of the network on the way back
	Devices   int  // over which a batch is divided; 0: it is not
	FillUp    bool // batches that are not full are filled up, see Input; always, where compiling takes long

	EMADecay float64 // of the average of the weights; 0: none is kept
}

// Arrays are the tensors of one moment of training, on the device; on several,
// those of the first come first.
type Arrays struct {
	weights, first, second []*tensors.Tensor // by parameter
	statistics             []*tensors.Tensor

	// Moving averages of weights and statistics; nil without EMADecay.
	average, averageStatistics []*tensors.Tensor
}

// parts pairs the arrays of one tensor on the host with the lists that hold them
// on the device.
func (a *Arrays) parts(t *checkpoint.Tensor) []part {
	switch {
	case t.IsCounter():
		return nil
	case t.IsParameter():
		return []part{{&t.Values, &a.weights}, {&t.First, &a.first}, {&t.Second, &a.second}, {&t.Average, &a.average}}
	}
	return []part{{&t.Values, &a.statistics}, {&t.Average, &a.averageStatistics}}
}

type part struct {
	host   *[]float32
	device *[]*tensors.Tensor
}

// Averaged are the arrays to validate with. Nothing is copied.
func (a *Arrays) Averaged() *Arrays {
	if a.average == nil {
		return a
	}
	return &Arrays{weights: a.average, statistics: a.averageStatistics}
}

func (a *Arrays) Release() {
	for _, list := range [][]*tensors.Tensor{a.weights, a.first, a.second, a.statistics, a.average, a.averageStatistics} {
		release(list...)
	}
}

// release gives memory back at once instead of when the garbage collector finds it.
func release(list ...*tensors.Tensor) {
	for _, t := range list {
		t.FinalizeAll()
	}
}

// Measures of one batch, means over its samples.
type Measures struct {
	Loss, L1, SSIM float64
	PSNR           float64 // dB; only in evaluation
	GradientNorm   float64 // before clipping; 0 in evaluation
}

// Finite reports whether a step can be taken for one: neither its loss nor its gradient is
// infinite or not a number.
func (m Measures) Finite() bool {
	sum := m.Loss + m.GradientNorm
	return !math.IsNaN(sum) && !math.IsInf(sum, 0)
}

func New(on compute.Backend, net *model.Network, l loss.Combined, o optim.AdamW, how Options) (*Engine, error) {
	e := &Engine{backend: on, net: net, loss: l, optimizer: o, Options: how, weights: net.Weights()}
	e.FillUp = how.FillUp || compilesLong(on) || how.Devices > 0
	for _, entry := range net.Entries() {
		if entry.Role == nn.Statistic {
			e.statistics = append(e.statistics, entry)
		}
	}
	batch := 2
	if e.FillUp {
		batch++
	}
	if net.TakesSigma() {
		batch++
	}
	e.step = computation{graph: e.stepGraph, scalars: 3, batch: batch}
	e.eval = computation{graph: e.evalGraph, batch: batch}
	e.gradient = computation{graph: e.gradientGraph, scalars: 1, batch: batch}
	e.apply = computation{graph: e.applyGraph, scalars: 3}
	e.average = computation{graph: e.averageGraph, scalars: 2}
	return e, e.Prepare()
}

// Prepare makes the computations anew; each is compiled when it is first used.
func (e *Engine) Prepare() error {
	for _, c := range []*computation{&e.step, &e.eval, &e.gradient, &e.apply, &e.average} {
		if err := c.prepare(e.backend, e.Devices); err != nil {
			return fmt.Errorf("train: %w", err)
		}
	}
	return nil
}

// stepGraph is one optimizer step: forward, loss, gradients, AdamW.
//
//	in:  lr, 1-beta1^t, sqrt(1-beta2^t), a batch, weights, first and second moments, statistics
//	out: [loss, l1, ssim, gradient norm], then the new weights, moments and statistics
func (e *Engine) stepGraph(in []*graph.Node) []*graph.Node {
	scalars, in := [3]*graph.Node(in[:3]), in[3:]
	b, in := e.takeBatch(in)
	weights, in := take(in, len(e.weights))
	first, in := take(in, len(e.weights))
	second, in := take(in, len(e.weights))

	scope := e.scope(b.degraded.Graph(), true, weights, in)
	total, l1, ssim := e.measure(e.restored(scope, b), b)
	gradients := graph.Gradient(total, weights...)
	weights, first, second, norm := e.optimizer.Update(scalars, weights, gradients, first, second)

	out := []*graph.Node{graph.Stack([]*graph.Node{total, l1, ssim, norm}, 0)}
	out = append(append(append(out, weights...), first...), second...)
	updates := scope.Updates()
	for _, entry := range e.statistics {
		out = append(out, updates[entry.Name])
	}
	return out
}

// evalGraph measures the loss with batch norm's running statistics.
//
//	in:  a batch, weights, statistics
//	out: [loss, l1, ssim, psnr], the restored pictures
func (e *Engine) evalGraph(in []*graph.Node) []*graph.Node {
	b, in := e.takeBatch(in)
	weights, statistics := take(in, len(e.weights))
	scope := e.scope(b.degraded.Graph(), false, weights, statistics)
	restored := e.restored(scope, b)
	total, l1, ssim := e.measure(restored, b)
	return []*graph.Node{graph.Stack([]*graph.Node{total, l1, ssim, loss.PSNR(restored, b.clean, b.mask)}, 0), restored}
}

// batch is what a graph sees of a Input: pictures [n, 3, size, size]; which
// of them are there, [n], or nil where all are; and the levels of their noise, [n],
// or nil where the network takes none.
type batch struct{ degraded, clean, mask, sigma *graph.Node }

func (e *Engine) takeBatch(in []*graph.Node) (b batch, rest []*graph.Node) {
	b, rest = batch{degraded: in[0], clean: in[1]}, in[2:]
	if e.FillUp {
		b.mask, rest = rest[0], rest[1:]
	}
	if e.net.TakesSigma() {
		b.sigma, rest = rest[0], rest[1:]
	}
	return b, rest
}

// restored is what the network makes of a batch.
func (e *Engine) restored(s *nn.Scope, b batch) *graph.Node {
	if b.mask != nil {
		s = s.Padded(b.mask)
	}
	return e.net.Forward(s, b.degraded, b.sigma)
}

// measure compares what was restored with the clean pictures.
func (e *Engine) measure(restored *graph.Node, b batch) (total, l1, ssim *graph.Node) {
	if b.mask == nil {
		return e.loss.Graph(restored, b.clean)
	}
	return e.loss.Padded(restored, b.clean, b.mask)
}

// scope binds the network's tensors. Outside the network everything is float32:
// loss, gradients, moments, and the weights themselves.
func (e *Engine) scope(g *graph.Graph, training bool, weights, statistics []*graph.Node) *nn.Scope {
	values := make(map[string]*graph.Node, len(weights)+len(statistics))
	for i, entry := range e.weights {
		values[entry.Name] = weights[i]
	}
	for i, entry := range e.statistics {
		values[entry.Name] = statistics[i]
	}
	s := nn.NewScope(g, training, values)
	if e.Mixed {
		s.Mixed()
	}
	if e.Recompute && training {
		s.Recomputing()
	}
	return s
}

func take[T any](list []T, n int) (head, tail []T) { return list[:n:n], list[n:] }

// Advance runs optimizer step number t (1-based) at learning rate lr and
// returns the arrays after it. The arrays before it stay valid. A batch of more
// than micro samples is computed in parts; micro 0 never cuts.
func (e *Engine) Advance(at *Arrays, b *Input, micro int, t int64, lr float64) (next *Arrays, m Measures, err error) {
	defer backend.Catch(&err)
	if inParts(b, micro) {
		next, m, err = e.advanceInParts(at, b.Batch, micro, t, lr)
	} else {
		next, m, err = e.advanceAtOnce(at, b, t, lr)
	}
	if err != nil || at.average == nil {
		return next, m, err
	}
	if err = e.moveAverage(at, next, t); err != nil {
		next.Release()
	}
	return next, m, err
}

func (e *Engine) advanceAtOnce(at *Arrays, b *Input, t int64, lr float64) (*Arrays, Measures, error) {
	in := b.take()
	defer release(in...)
	out, err := e.step.call(e.scalars(t, lr), in, at.weights, at.first, at.second, at.statistics)
	if err != nil {
		return nil, Measures{}, err
	}
	head, n := out.take(1), len(e.weights)
	next := &Arrays{weights: out.take(n), first: out.take(n), second: out.take(n), statistics: out.take(len(e.statistics))}
	var m Measures
	read(head, &m.Loss, &m.L1, &m.SSIM, &m.GradientNorm)
	return next, m, nil
}

func inParts(b *Input, micro int) bool { return micro > 0 && micro < b.samples() }

func (e *Engine) scalars(t int64, lr float64) (list []float32) {
	for _, s := range e.optimizer.Scalars(t, lr) {
		list = append(list, float32(s))
	}
	return list
}

// Evaluation is what is measured of a batch without training.
type Evaluation struct {
	Measures
	Restored []float32 // [n, 3, size, size]; nil where it was not asked for
}

// Evaluate measures one batch without training.
func (e *Engine) Evaluate(at *Arrays, b *Input, restored bool) (v Evaluation, err error) {
	defer backend.Catch(&err)
	in := b.take()
	defer release(in...)
	out, err := e.eval.call(nil, in, at.weights, at.statistics)
	if err != nil {
		return Evaluation{}, err
	}
	read(out.take(1), &v.Loss, &v.L1, &v.SSIM, &v.PSNR)
	pictures := out.take(1)
	defer release(pictures...)
	if restored {
		v.Restored = tensors.MustCopyFlatData[float32](pictures[0])
	}
	return v, nil
}

// CompileStep and compileEvaluation return what advance and evaluate would do
// first, to be done ahead; nil where it is done, or takes no time worth telling.
func (e *Engine) CompileStep(at *Arrays, b *Input, micro int) func() (*Compilation, error) {
	if inParts(b, micro) {
		part := e.Input(slice(b.Batch, 0, min(micro, b.N)), micro)
		return e.compile(&e.gradient, part, at.weights, at.statistics, at.weights)
	}
	return e.compile(&e.step, b, at.weights, at.first, at.second, at.statistics)
}

func (e *Engine) CompileEvaluation(at *Arrays, b *Input) func() (*Compilation, error) {
	return e.compile(&e.eval, b, at.weights, at.statistics)
}

func (e *Engine) compile(c *computation, b *Input, lists ...[]*tensors.Tensor) func() (*Compilation, error) {
	if !e.FillUp || c.compiled[b.samples()] {
		return nil
	}
	return func() (made *Compilation, err error) {
		defer backend.Catch(&err)
		return c.compile(b, lists...)
	}
}

// read takes the numbers that every device says alike.
func read(each []*tensors.Tensor, to ...*float64) {
	defer release(each...)
	for i, v := range tensors.MustCopyFlatData[float32](each[0]) {
		*to[i] = float64(v)
	}
}
