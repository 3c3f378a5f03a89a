package train

import (
	"rekindle/pkg/dataset"
	"rekindle/pkg/train/step"
)

// prefetcher hands out the batches of a loader. Ahead of a device with memory of its
// own it puts the next one there while a step computes on the one before.
type prefetcher struct {
	loader  *dataset.Loader
	engine  *step.Engine
	full    int             // samples of the largest batches
	ahead   chan prefetched // nil: nothing goes ahead
	stop    chan struct{}
	stopped chan struct{}
}

type prefetched struct {
	input *step.Input
	err   error
}

func newPrefetcher(loader *dataset.Loader, e *step.Engine, full int, ahead bool) *prefetcher {
	f := &prefetcher{loader: loader, engine: e, full: full}
	if ahead {
		f.ahead, f.stop, f.stopped = make(chan prefetched), make(chan struct{}), make(chan struct{})
		go f.run()
	}
	return f
}

func (f *prefetcher) run() {
	defer close(f.stopped)
	for {
		batch, err := f.loader.Next()
		next := prefetched{f.engine.Input(batch, f.full), err}
		if err == nil {
			next.input.Put()
		}
		select {
		case f.ahead <- next:
		case <-f.stop:
			next.input.Release()
			return
		}
		if err != nil {
			return
		}
	}
}

// next returns the next batch, or what [dataset.Loader.Next] returns.
func (f *prefetcher) next() (*step.Input, error) {
	if f.ahead == nil {
		batch, err := f.loader.Next()
		return f.engine.Input(batch, f.full), err
	}
	next := <-f.ahead
	return next.input, next.err
}

// done gives back a batch that has been trained on.
func (f *prefetcher) done(i *step.Input) {
	i.Release()
	f.loader.Recycle(i.Batch)
}

func (f *prefetcher) close() {
	f.loader.Close()
	if f.ahead != nil {
		close(f.stop)
		<-f.stopped
	}
}
