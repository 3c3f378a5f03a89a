package notebook

import (
	"context"
	"os/signal"
	"time"

	"rekindle/pkg/watch"
)

// Watch shows a training run that goes on elsewhere, in another notebook or in one whose
// page was closed or loaded anew, as the training cell shows its own, until it is over
// or this cell is interrupted. It needs a kernel of its own: in the notebook that trains
// it would wait for the end of training. name is that of an experiment under root, a
// pattern, the path of a folder, or "latest", the one that trains now.
func Watch(root, name string) {
	Check(EnterClone())
	exp, err := watch.Choose(root, name)
	Check(err)
	ctx, stop := signal.NotifyContext(context.Background(), StopSignals()...)
	defer stop()
	v := watch.Look(exp, nil)
	say("👀 %s %s", v.Name(), v.State())
	show := func(v *watch.View) { say("%s", v.Line()) }
	if inNotebook() {
		p := newPanel()
		show = func(v *watch.View) { p.paint(seen(v)) }
	}
	v = watchUntil(ctx, v, show)
	flush()
	switch {
	case !v.Ended():
		say("⏹️  This view has ended; training goes on")
	default:
		say("🏁 %s %s", exp.Name(), v.State())
	}
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
