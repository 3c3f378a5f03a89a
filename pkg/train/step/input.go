package step

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
	"rekindle/pkg/dataset"
)

// Input is a batch on its way into a compiled computation.
//
// XLA compiles a computation for one number of images, which takes seconds. The
// last batch of an epoch has fewer; it is filled up with pictures that a mask
// takes out of the loss, its gradients and batch norm's statistics again. So is
// one that cannot be divided by the number of devices. On the Go engine, which
// compiles at once, a batch is computed as small as it is.
type Input struct {
	*dataset.Batch
	engine  compute.Backend
	full    int               // samples of a batch that is filled up; 0: it is not
	devices int               // over which it is divided, at least 1
	levels  bool              // the network is told those of the noise
	ready   []*tensors.Tensor // what take returns, on the devices already; nil: to be made
}

// compilesLong reports whether filling up a batch costs less than compiling again.
func compilesLong(engine compute.Backend) bool { return engine.Name() == "xla" }

// Input is a batch of which the largest of its kind have full samples.
func (e *Engine) Input(b *dataset.Batch, full int) *Input {
	i := &Input{Batch: b, engine: e.backend, devices: max(e.Devices, 1), levels: e.net.TakesSigma()}
	if e.FillUp {
		i.full = (full + i.devices - 1) / i.devices * i.devices
	}
	return i
}

// samples is how many images the computation sees, those that fill it up included.
func (i *Input) samples() int { return max(i.N, i.full) }

// take returns the batch's tensors: degraded and clean, [n, 3, Size, Size], the
// mask, [n], if it is filled up, and the levels of the noise, [n], if the network
// takes them; then those of the next device. They are the caller's to release. Asked again, after a step that failed, it makes new ones.
func (i *Input) take() []*tensors.Tensor {
	if i.ready == nil {
		return i.build()
	}
	ready := i.ready
	i.ready = nil
	return ready
}

func (i *Input) build() (list []*tensors.Tensor) {
	n := i.samples()
	filled := func(values []float32, each int) []float32 {
		if n > i.N {
			values = append(make([]float32, 0, n*each), values...)
		}
		return values[:n*each]
	}
	image, shapes := 3*i.Size*i.Size, i.shapes()
	degraded, clean, mask := filled(i.Degraded, image), filled(i.Clean, image), make([]float32, n)
	var levels []float32
	if i.levels {
		levels = filled(i.Levels, 1)
	}
	for k := range i.N {
		mask[k] = 1
	}
	for d := range i.devices {
		from, to := d*n/i.devices, (d+1)*n/i.devices
		list = append(list,
			tensors.FromFlatDataAndDimensions(degraded[from*image:to*image], shapes[0].Dimensions...),
			tensors.FromFlatDataAndDimensions(clean[from*image:to*image], shapes[1].Dimensions...))
		if i.full > 0 {
			list = append(list, tensors.FromFlatDataAndDimensions(mask[from:to], to-from))
		}
		if i.levels {
			list = append(list, tensors.FromFlatDataAndDimensions(levels[from:to], to-from))
		}
	}
	return list
}

// shapes of what one device gets.
func (i *Input) shapes() []shapes.Shape {
	n := i.samples() / i.devices
	pictures := shapes.Make(dtypes.Float32, n, 3, i.Size, i.Size)
	list, numbers := []shapes.Shape{pictures, pictures}, shapes.Make(dtypes.Float32, n)
	if i.full > 0 {
		list = append(list, numbers)
	}
	if i.levels {
		list = append(list, numbers)
	}
	return list
}

// Put moves the batch to the devices. Where that fails nothing has happened: the
// step will try again, and report what is wrong.
func (i *Input) Put() {
	var err error
	list := i.build()
	defer func() {
		if err != nil {
			release(list...)
			return
		}
		i.ready = list
	}()
	defer backend.Catch(&err)
	for k, t := range list {
		device := compute.DeviceNum(k * i.devices / len(list))
		if err = t.MaterializeOnDevice(i.engine, false, device); err != nil {
			return
		}
	}
}

func (i *Input) Release() {
	release(i.ready...)
	i.ready = nil
}
