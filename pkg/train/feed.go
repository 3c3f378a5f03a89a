package train

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/dataset"
)

// input is a batch, and its tensors where they are on the device already.
type input struct {
	*dataset.Batch
	degraded, clean *tensors.Tensor // nil: to be made from the batch
}

// take returns the batch's tensors, [N, 3, Size, Size]; they are the caller's to
// release. Asked again, after a step that failed, it makes new ones.
func (i *input) take() (degraded, clean *tensors.Tensor) {
	if i.degraded == nil {
		return batchTensors(i.Batch)
	}
	degraded, clean = i.degraded, i.clean
	i.degraded, i.clean = nil, nil
	return degraded, clean
}

func (i *input) release() {
	if i.degraded != nil {
		release(i.degraded, i.clean)
		i.degraded, i.clean = nil, nil
	}
}

// feed hands out the batches of a loader. Ahead of a device with memory of its
// own it puts the next one there while a step computes on the one before.
type feed struct {
	loader  *dataset.Loader
	ahead   chan fed // nil: nothing goes ahead
	stop    chan struct{}
	stopped chan struct{}
}

type fed struct {
	input *input
	err   error
}

func newFeed(loader *dataset.Loader, engine compute.Backend, ahead bool) *feed {
	f := &feed{loader: loader}
	if ahead {
		f.ahead, f.stop, f.stopped = make(chan fed), make(chan struct{}), make(chan struct{})
		go f.run(engine)
	}
	return f
}

func (f *feed) run(engine compute.Backend) {
	defer close(f.stopped)
	for {
		batch, err := f.loader.Next()
		next := fed{&input{Batch: batch}, err}
		if err == nil {
			next.input.put(engine)
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

// put moves the batch to the device. Where that fails nothing has happened: the
// step will try again, and report what is wrong.
func (i *input) put(engine compute.Backend) {
	var err error
	degraded, clean := batchTensors(i.Batch)
	defer func() {
		if err != nil {
			release(degraded, clean)
			return
		}
		i.degraded, i.clean = degraded, clean
	}()
	defer catch(&err)
	for _, t := range []*tensors.Tensor{degraded, clean} {
		if err = t.MaterializeOnDevice(engine, false, 0); err != nil {
			return
		}
	}
}

// next returns the next batch, or what [dataset.Loader.Next] returns.
func (f *feed) next() (*input, error) {
	if f.ahead == nil {
		batch, err := f.loader.Next()
		return &input{Batch: batch}, err
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
