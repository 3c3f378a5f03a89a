package train

import (
	"errors"
	"sync/atomic"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
)

type shape = shapes.Shape

// errNoMemory is what XLA says through PJRT when an allocation fails.
var errNoMemory = errors.New("PJRT error (code=8): RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123456 bytes")

// faulty is an engine whose n-th compilation, transfer or execution runs out of
// memory, so that the real error path is taken. A count of zero never fails.
type faulty struct {
	compute.Backend
	compile, transfer, execute atomic.Int64 // calls left until one fails
	compiled                   atomic.Int64 // how often
	always                     atomic.Bool  // every execution fails
	dead                       atomic.Bool  // and nothing can be read any more

	build func(compute.Builder) (compute.Executable, error) // nil: as the engine does
}

func (f *faulty) due(left *atomic.Int64) error {
	if left.Load() > 0 && left.Add(-1) == 0 {
		return errNoMemory
	}
	return nil
}

func (f *faulty) Builder(name string) compute.Builder {
	return &faultyBuilder{f.Backend.Builder(name), f}
}

func (f *faulty) BufferFromFlatData(device compute.DeviceNum, flat any, shape shape) (compute.Buffer, error) {
	if err := f.due(&f.transfer); err != nil {
		return nil, err
	}
	b, err := f.Backend.BufferFromFlatData(device, flat, shape)
	return f.wrap(b), err
}

func (f *faulty) NewSharedBuffer(device compute.DeviceNum, shape shape) (compute.Buffer, any, error) {
	if err := f.due(&f.transfer); err != nil {
		return nil, nil, err
	}
	b, flat, err := f.Backend.NewSharedBuffer(device, shape)
	return f.wrap(b), flat, err
}

// faultyBuffer says that it belongs to the faulty engine, which GoMLX checks.
type faultyBuffer struct {
	compute.Buffer
	f *faulty
}

func (b *faultyBuffer) Backend() compute.Backend { return b.f }

func (b *faultyBuffer) ToFlatData(flat any) error {
	if b.f.dead.Load() {
		return errors.New("the device is gone")
	}
	return b.Buffer.ToFlatData(flat)
}

func (f *faulty) wrap(b compute.Buffer) compute.Buffer {
	if b == nil {
		return nil
	}
	return &faultyBuffer{b, f}
}

type faultyBuilder struct {
	compute.Builder
	f *faulty
}

func (b *faultyBuilder) Compile() (compute.Executable, error) {
	if err := b.f.due(&b.f.compile); err != nil {
		return nil, err
	}
	b.f.compiled.Add(1)
	build := b.f.build
	if build == nil {
		build = compute.Builder.Compile
	}
	e, err := build(b.Builder)
	return &faultyExecutable{e, b.f}, err
}

type faultyExecutable struct {
	compute.Executable
	f *faulty
}

func (e *faultyExecutable) Execute(inputs []compute.Buffer, donate []bool, device compute.DeviceNum) ([]compute.Buffer, error) {
	if err := e.f.due(&e.f.execute); err != nil {
		return nil, err
	}
	if e.f.always.Load() {
		return nil, errNoMemory
	}
	inside := make([]compute.Buffer, len(inputs))
	for i, b := range inputs {
		inside[i] = b.(*faultyBuffer).Buffer
	}
	outputs, err := e.Executable.Execute(inside, donate, device)
	for i := range outputs {
		outputs[i] = e.f.wrap(outputs[i])
	}
	return outputs, err
}
