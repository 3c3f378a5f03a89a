package train

import (
	"context"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
)

// oomRetry computes again, in smaller parts, what memory ran out for.
type oomRetry struct {
	device *device
	state  *checkpoint.State // whose MicroBatch says how small
	batch  int               // BatchSize
	halves bool              // OOMPolicy is "halve"; else memory runs out for good
}

// atOnce is how many samples are computed at once: a batch, or a part of it
// since memory ran out. Those of a step are loaded together all the same: a run
// stops only between two steps.
func (r *oomRetry) atOnce() int {
	if r.state.MicroBatch > 0 {
		return min(r.state.MicroBatch, r.batch)
	}
	return r.batch
}

// do computes f, which n samples go into.
func (r *oomRetry) do(ctx context.Context, n int, f func() error) error {
	err := f()
	for tries := 1; backend.IsOutOfMemory(err) && r.makeRoom(ctx, n, tries); tries++ {
		err = f()
	}
	return err
}

// makeRoom is called after memory ran out on n samples for the tries-th time. It
// frees what can be freed and makes micro-batches half as large, when the
// configuration allows it, and reports whether there is anything left to try.
// A batch that is smaller than those before it is first tried again as it is:
// it does not need more than they did, but what they left behind was in its way.
func (r *oomRetry) makeRoom(ctx context.Context, n, tries int) bool {
	if !r.halves {
		return false
	}
	size := min(n, r.atOnce())
	halve := n >= r.atOnce() || tries > 1
	if halve && size < 2 {
		return false
	}
	if !r.device.memory.settle(ctx) {
		return true // the next step sees that ctx has ended
	}
	if err := r.device.engine.Prepare(); err != nil {
		return false
	}
	giveBack()
	if halve {
		r.state.MicroBatch = (size + 1) / 2
		r.device.report.Message("⚠️  Out of memory: from here on each batch is computed in parts of %d samples whose gradients are added up; batch size and schedule stay the same", r.state.MicroBatch)
	}
	return true
}
