package train

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/dataset"
)

// input is a batch on its way into a compiled computation.
//
// XLA compiles a computation for one number of images, which takes seconds. The
// last batch of an epoch has fewer; it is filled up with pictures that a mask
// takes out of the loss, its gradients and batch norm's statistics again. On
// the Go engine, which compiles at once, it is computed as small as it is.
type input struct {
	*dataset.Batch
	full  int               // samples of a batch that is filled up; 0: it is not
	ready []*tensors.Tensor // what take returns, on the device already; nil: to be made
}

// pays reports whether filling up a batch costs less than compiling again.
func pays(engine compute.Backend) bool { return engine.Name() == "xla" || forcePadding }

// forcePadding lets tests fill up batches on the Go engine.
var forcePadding = false

// input is a batch of which the largest of its kind have full samples.
func (e *engine) input(b *dataset.Batch, full int) *input {
	if !e.pads {
		full = 0
	}
	return &input{Batch: b, full: full}
}

// take returns the batch's tensors: degraded and clean, [n, 3, Size, Size], and
// the mask, [n], if it is to be filled up. They are the caller's to release. Asked
// again, after a step that failed, it makes new ones.
func (i *input) take() []*tensors.Tensor {
	if i.ready == nil {
		return i.build()
	}
	ready := i.ready
	i.ready = nil
	return ready
}

func (i *input) build() []*tensors.Tensor {
	n := max(i.N, i.full)
	pictures := func(values []float32) *tensors.Tensor {
		if n > i.N {
			values = append(make([]float32, 0, n*3*i.Size*i.Size), values...)
			values = values[:cap(values)]
		}
		return tensors.FromFlatDataAndDimensions(values, n, 3, i.Size, i.Size)
	}
	list := []*tensors.Tensor{pictures(i.Degraded), pictures(i.Clean)}
	if i.full > 0 {
		mask := make([]float32, n)
		for k := range i.N {
			mask[k] = 1
		}
		list = append(list, tensors.FromFlatDataAndDimensions(mask, n))
	}
	return list
}

// put moves the batch to the device. Where that fails nothing has happened: the
// step will try again, and report what is wrong.
func (i *input) put(engine compute.Backend) {
	var err error
	list := i.build()
	defer func() {
		if err != nil {
			release(list...)
			return
		}
		i.ready = list
	}()
	defer catch(&err)
	for _, t := range list {
		if err = t.MaterializeOnDevice(engine, false, 0); err != nil {
			return
		}
	}
}

func (i *input) release() {
	release(i.ready...)
	i.ready = nil
}
