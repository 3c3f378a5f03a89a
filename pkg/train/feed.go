package train

import "rekindle/pkg/dataset"

// feed hands out the batches of a loader. Ahead of a device with memory of its
// own it puts the next one there while a step computes on the one before.
type feed struct {
	loader  *dataset.Loader
	engine  *engine
	full    int      // samples of the largest batches
	ahead   chan fed // nil: nothing goes ahead
	stop    chan struct{}
	stopped chan struct{}
}

type fed struct {
	input *input
	err   error
}

func newFeed(loader *dataset.Loader, e *engine, full int, ahead bool) *feed {
	f := &feed{loader: loader, engine: e, full: full}
	if ahead {
		f.ahead, f.stop, f.stopped = make(chan fed), make(chan struct{}), make(chan struct{})
		go f.run()
	}
	return f
}

func (f *feed) run() {
	defer close(f.stopped)
	for {
		batch, err := f.loader.Next()
		next := fed{f.engine.input(batch, f.full), err}
		if err == nil {
			next.input.put(f.engine.backend)
		}
		select {
		case f.ahead <- next:
		case <-f.stop:
			next.input.release()
			return
		}
		if err != nil {
			return
		}
	}
}

// next returns the next batch, or what [dataset.Loader.Next] returns.
func (f *feed) next() (*input, error) {
	if f.ahead == nil {
		batch, err := f.loader.Next()
		return f.engine.input(batch, f.full), err
	}
	next := <-f.ahead
	return next.input, next.err
}

// done gives back a batch that has been trained on.
func (f *feed) done(i *input) {
	i.release()
	f.loader.Recycle(i.Batch)
}

func (f *feed) close() {
	f.loader.Close()
	if f.ahead != nil {
		close(f.stop)
		<-f.stopped
	}
}
