package train

import (
	"fmt"

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

// engine holds the compiled computations of training. Each is a pure function
// of its inputs: a step reads the arrays of one moment and makes new ones for
// the next, and nothing is given away before it succeeded. So a step that fails
// or is abandoned half-way costs nothing: the arrays before it are intact. The
// price is a second set of weights and moments while a step runs.
type engine struct {
	backend   compute.Backend
	net       *model.Network
	loss      loss.Combined
	optimizer optim.AdamW
	engineOptions
	decay float64 // of the average of the weights, see moveAverage

	weights    []nn.Entry // trained, in the optimizer's order
	statistics []nn.Entry // batch norm's running means and variances

	step, eval      computation
	gradient, apply computation // of a batch in parts
	average         computation // of weights and statistics

	zeros []*tensors.Tensor // gradients of nothing, see advanceInParts
}

// engineOptions are ways of computing the same.
type engineOptions struct {
	mixed     bool // convolutions in bfloat16
	recompute bool // blocks of the network on the way back
	devices   int  // over which a batch is divided; 0: it is not
	pads      bool // batches that are not full are filled up, see deviceBatch; always, where compiling takes long
}

// arrays are the tensors of one moment of training, on the device; on several,
// those of the first come first.
type arrays struct {
	weights, first, second []*tensors.Tensor // by parameter
	statistics             []*tensors.Tensor

	// Moving averages of weights and statistics; nil without EMADecay.
	average, averageStatistics []*tensors.Tensor
}

// parts pairs the arrays of one tensor on the host with the lists that hold them
// on the device.
func (a *arrays) parts(t *checkpoint.Tensor) []part {
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

// averaged are the arrays to validate with. Nothing is copied.
func (a *arrays) averaged() *arrays {
	if a.average == nil {
		return a
	}
	return &arrays{weights: a.average, statistics: a.averageStatistics}
}

func (a *arrays) release() {
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

// measures of one batch, means over its samples.
type measures struct {
	loss, l1, ssim float64
	psnr           float64 // dB; only in evaluation
	gradientNorm   float64 // before clipping; 0 in evaluation
}

func (m measures) finite() bool { return isFinite(m.loss) && isFinite(m.gradientNorm) }

func newEngine(on compute.Backend, net *model.Network, l loss.Combined, o optim.AdamW, how engineOptions) (*engine, error) {
	e := &engine{backend: on, net: net, loss: l, optimizer: o, engineOptions: how, weights: net.Weights()}
	e.pads = how.pads || compilesLong(on) || how.devices > 0
	for _, entry := range net.Entries() {
		if entry.Role == nn.Statistic {
			e.statistics = append(e.statistics, entry)
		}
	}
	batch := 2
	if e.pads {
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
	return e, e.prepare()
}

// prepare makes the computations anew; each is compiled when it is first used.
func (e *engine) prepare() error {
	for _, c := range []*computation{&e.step, &e.eval, &e.gradient, &e.apply, &e.average} {
		if err := c.prepare(e.backend, e.devices); err != nil {
			return fmt.Errorf("train: %w", err)
		}
	}
	return nil
}

// stepGraph is one optimizer step: forward, loss, gradients, AdamW.
//
//	in:  lr, 1-beta1^t, sqrt(1-beta2^t), a batch, weights, first and second moments, statistics
//	out: [loss, l1, ssim, gradient norm], then the new weights, moments and statistics
func (e *engine) stepGraph(in []*graph.Node) []*graph.Node {
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
func (e *engine) evalGraph(in []*graph.Node) []*graph.Node {
	b, in := e.takeBatch(in)
	weights, statistics := take(in, len(e.weights))
	scope := e.scope(b.degraded.Graph(), false, weights, statistics)
	restored := e.restored(scope, b)
	total, l1, ssim := e.measure(restored, b)
	return []*graph.Node{graph.Stack([]*graph.Node{total, l1, ssim, loss.PSNR(restored, b.clean, b.mask)}, 0), restored}
}

// batch is what a graph sees of a deviceBatch: pictures [n, 3, size, size]; which
// of them are there, [n], or nil where all are; and the levels of their noise, [n],
// or nil where the network takes none.
type batch struct{ degraded, clean, mask, sigma *graph.Node }

func (e *engine) takeBatch(in []*graph.Node) (b batch, rest []*graph.Node) {
	b, rest = batch{degraded: in[0], clean: in[1]}, in[2:]
	if e.pads {
		b.mask, rest = rest[0], rest[1:]
	}
	if e.net.TakesSigma() {
		b.sigma, rest = rest[0], rest[1:]
	}
	return b, rest
}

// restored is what the network makes of a batch.
func (e *engine) restored(s *nn.Scope, b batch) *graph.Node {
	if b.mask != nil {
		s = s.Padded(b.mask)
	}
	return e.net.Forward(s, b.degraded, b.sigma)
}

// measure compares what was restored with the clean pictures.
func (e *engine) measure(restored *graph.Node, b batch) (total, l1, ssim *graph.Node) {
	if b.mask == nil {
		return e.loss.Graph(restored, b.clean)
	}
	return e.loss.Padded(restored, b.clean, b.mask)
}

// scope binds the network's tensors. Outside the network everything is float32:
// loss, gradients, moments, and the weights themselves.
func (e *engine) scope(g *graph.Graph, training bool, weights, statistics []*graph.Node) *nn.Scope {
	values := make(map[string]*graph.Node, len(weights)+len(statistics))
	for i, entry := range e.weights {
		values[entry.Name] = weights[i]
	}
	for i, entry := range e.statistics {
		values[entry.Name] = statistics[i]
	}
	s := nn.NewScope(g, training, values)
	if e.mixed {
		s.Mixed()
	}
	if e.recompute && training {
		s.Recomputing()
	}
	return s
}

func take[T any](list []T, n int) (head, tail []T) { return list[:n:n], list[n:] }

// advance runs optimizer step number t (1-based) at learning rate lr and
// returns the arrays after it. The arrays before it stay valid. A batch of more
// than micro samples is computed in parts; micro 0 never cuts.
func (e *engine) advance(at *arrays, b *deviceBatch, micro int, t int64, lr float64) (next *arrays, m measures, err error) {
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
		next.release()
	}
	return next, m, err
}

func (e *engine) advanceAtOnce(at *arrays, b *deviceBatch, t int64, lr float64) (*arrays, measures, error) {
	in := b.take()
	defer release(in...)
	out, err := e.step.call(e.scalars(t, lr), in, at.weights, at.first, at.second, at.statistics)
	if err != nil {
		return nil, measures{}, err
	}
	head, n := out.take(1), len(e.weights)
	next := &arrays{weights: out.take(n), first: out.take(n), second: out.take(n), statistics: out.take(len(e.statistics))}
	var m measures
	read(head, &m.loss, &m.l1, &m.ssim, &m.gradientNorm)
	return next, m, nil
}

func inParts(b *deviceBatch, micro int) bool { return micro > 0 && micro < b.samples() }

func (e *engine) scalars(t int64, lr float64) (list []float32) {
	for _, s := range e.optimizer.Scalars(t, lr) {
		list = append(list, float32(s))
	}
	return list
}

// evaluation is what is measured of a batch without training.
type evaluation struct {
	measures
	restored []float32 // [n, 3, size, size]; nil where it was not asked for
}

// evaluate measures one batch without training.
func (e *engine) evaluate(at *arrays, b *deviceBatch, restored bool) (v evaluation, err error) {
	defer backend.Catch(&err)
	in := b.take()
	defer release(in...)
	out, err := e.eval.call(nil, in, at.weights, at.statistics)
	if err != nil {
		return evaluation{}, err
	}
	read(out.take(1), &v.loss, &v.l1, &v.ssim, &v.psnr)
	pictures := out.take(1)
	defer release(pictures...)
	if restored {
		v.restored = tensors.MustCopyFlatData[float32](pictures[0])
	}
	return v, nil
}

// compileStep and compileEvaluation return what advance and evaluate would do
// first, to be done ahead; nil where it is done, or takes no time worth telling.
func (e *engine) compileStep(at *arrays, b *deviceBatch, micro int) func() (*compilation, error) {
	if inParts(b, micro) {
		part := e.deviceBatch(slice(b.Batch, 0, min(micro, b.N)), micro)
		return e.compile(&e.gradient, part, at.weights, at.statistics, at.weights)
	}
	return e.compile(&e.step, b, at.weights, at.first, at.second, at.statistics)
}

func (e *engine) compileEvaluation(at *arrays, b *deviceBatch) func() (*compilation, error) {
	return e.compile(&e.eval, b, at.weights, at.statistics)
}

func (e *engine) compile(c *computation, b *deviceBatch, lists ...[]*tensors.Tensor) func() (*compilation, error) {
	if !e.pads || c.compiled[b.samples()] {
		return nil
	}
	return func() (made *compilation, err error) {
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
