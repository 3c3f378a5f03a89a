package progress

import (
	"context"
	"time"

	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/watch"
)

// Watch shows a run that another program trains, as the training cell shows its own,
// until it is over or ctx ends. It returns what it saw last.
func Watch(ctx context.Context, v *watch.View) *watch.View {
	show := func(v *watch.View) { cell.Say("%s", v.Line()) }
	if cell.InNotebook() {
		p := newPanel()
		show = func(v *watch.View) { p.paint(seen(v)) }
	}
	defer cell.Flush()
	return watchUntil(ctx, v, show)
}

// watchUntil shows a run every second, until it is over or ctx ends.
func watchUntil(ctx context.Context, v *watch.View, show func(*watch.View)) *watch.View {
	ticker := time.NewTicker(paintEvery)
	defer ticker.Stop()
	for {
		show(v)
		if v.Ended() {
			return v
		}
		select {
		case <-ctx.Done():
			return v
		case <-ticker.C:
		}
		v = watch.Look(v.Exp, v)
	}
}

// seen is the state of a run that is watched, as the panel wants it.
func seen(v *watch.View) running {
	done, planned := v.Epochs()
	p := v.Progress
	r := running{
		history: v.History, epochs: planned, epoch: p.Epoch, batch: p.Batch, batches: p.Batches, fromEpoch: p.FromEpoch,
		loss: float64(p.Loss), speed: p.ImagesPerSecond, memory: int64(p.MemoryMB * (1 << 20)), onGPU: p.OnGPU, left: v.Left(),
		moved: p.Moved, firstAt: p.Moved, asOf: v.Now, closed: v.Phase != watch.Running, whole: true, watched: true,
	}
	if r.epoch == 0 {
		r.epoch = done
	}
	if epoch, loss, ok := v.History.Best(); ok {
		r.bestEpoch, r.bestLoss = epoch, loss
	}
	if v.Phase != watch.Running && v.Phase != watch.Over {
		r.note = v.State()
	}
	return r
}
