package train

import (
	"context"
	"slices"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/figures"
	"rekindle/pkg/train/step"
)

// device takes the optimizer steps, where the State's arrays lie meanwhile. A
// step that fails, is given up, or ends in a loss that is not a number leaves
// them as they were.
type device struct {
	engine *step.Engine
	memory *memory
	grace  time.Duration // that a computation under way gets after an interruption
	report Reporter

	at   *step.Arrays      // of this moment
	kept *checkpoint.State // the newest State whose arrays are on the host
	held *step.Arrays      // that it was copied from
}

// put moves a State's arrays to the device. What stays of it are its numbers.
func (d *device) put(s *checkpoint.State) {
	full := *s
	full.History = s.History.Clone()
	d.at = d.engine.Upload(s)
	d.kept, d.held = &full, d.at
	s.Model = slices.Clone(s.Model)
	for i, t := range s.Model {
		s.Model[i] = checkpoint.Tensor{Name: t.Name, Shape: t.Shape, Count: t.Count}
	}
}

// snapshot returns a State with the numbers of s and the arrays of this moment.
func (d *device) snapshot(s *checkpoint.State) (*checkpoint.State, error) {
	if d.at == d.held {
		// The device has nothing new; an abandoned first step may still be moving it there.
		full := *s
		full.Model, full.History = d.kept.Model, s.History.Clone()
		d.kept = &full
		return d.kept, nil
	}
	full, err := d.engine.Download(d.at, s)
	if err != nil {
		return nil, err
	}
	d.kept, d.held = full, d.at
	return full, nil
}

// step takes optimizer step t (1-based) with a batch; see [step.Engine.Advance].
func (d *device) step(ctx context.Context, b *step.Input, micro int, t int64, lr float64) (step.Measures, error) {
	at := d.at
	if err := d.compile(ctx, "Training step", d.engine.CompileStep(at, b, micro)); err != nil {
		return step.Measures{}, err
	}
	var m step.Measures
	next, err := within(ctx, d.memory, d.grace, func() (next *step.Arrays, err error) {
		next, m, err = d.engine.Advance(at, b, micro, t, lr)
		return next, err
	})
	switch {
	case err != nil:
		if next != nil {
			next.Release()
		}
		return step.Measures{}, err
	case !m.Finite():
		next.Release()
		return m, nil
	}
	at.Release()
	d.at = next
	return m, nil
}

// evaluate measures a batch with the weights for use; see [step.Engine.Evaluate].
func (d *device) evaluate(ctx context.Context, b *step.Input, restored bool) (step.Evaluation, error) {
	at := d.at.Averaged()
	if err := d.compile(ctx, "Validation", d.engine.CompileEvaluation(at, b)); err != nil {
		return step.Evaluation{}, err
	}
	return within(ctx, d.memory, d.grace, func() (step.Evaluation, error) { return d.engine.Evaluate(at, b, restored) })
}

// compile does f, if there is something to compile, and says how long it took,
// how much memory it needs, and whether that is there.
func (d *device) compile(ctx context.Context, what string, f func() (*step.Compilation, error)) error {
	if f == nil {
		return nil
	}
	c, err := within(ctx, d.memory, d.grace, f)
	if err != nil {
		return err
	}
	d.report.Message("⚙️  %s %s", what, c)
	if free := d.memory.free(); free > 0 && c.Bytes > free {
		d.report.Message("⚠️  Only %s are free: this will probably run out of memory; a smaller BatchSize needs less", figures.Gigabytes(free))
	}
	return nil
}

// within runs f and returns what it returns. When ctx is cancelled f gets the
// grace to finish; after that, or when memory runs over its limit, its result
// is given up, and f goes on in the background with arrays that nobody changes.
func within[T any](ctx context.Context, m *memory, grace time.Duration, f func() (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	type result struct {
		value T
		err   error
	}
	done, idle := make(chan result, 1), make(chan struct{})
	m.idle = idle
	go func() {
		defer close(idle)
		value, err := f()
		done <- result{value, err}
	}()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	interrupted := ctx.Done()
	var late <-chan time.Time
	for {
		select {
		case r := <-done:
			if err := m.look(); err != nil { // steps shorter than a tick are looked at once
				return r.value, err
			}
			return r.value, r.err
		case <-interrupted:
			interrupted, late = nil, time.After(grace)
		case <-late:
			return none, ctx.Err()
		case <-tick.C:
			if err := m.look(); err != nil {
				return none, err
			}
		}
	}
}
