package step

import (
	"errors"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"

	"rekindle/pkg/backend"
	"rekindle/pkg/dataset"
	"rekindle/pkg/loss"
	"rekindle/pkg/model"
	"rekindle/pkg/optim"
)

// full is an engine that has no room for the next of its transfers.
type full struct {
	compute.Backend
	refuses int
}

func (f *full) refuse() error {
	if f.refuses == 0 {
		return nil
	}
	f.refuses--
	return errors.New("RESOURCE_EXHAUSTED: Out of memory")
}

func (f *full) BufferFromFlatData(device compute.DeviceNum, flat any, shape shapes.Shape) (compute.Buffer, error) {
	if err := f.refuse(); err != nil {
		return nil, err
	}
	return f.Backend.BufferFromFlatData(device, flat, shape)
}

func (f *full) NewSharedBuffer(device compute.DeviceNum, shape shapes.Shape) (compute.Buffer, any, error) {
	if err := f.refuse(); err != nil {
		return nil, nil, err
	}
	return f.Backend.NewSharedBuffer(device, shape)
}

// What finds no room ahead is made again when its turn comes.
func TestAnInputThatFindsNoRoomIsNoError(t *testing.T) {
	opened, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	f := &full{Backend: opened.Backend}
	net, err := model.New("unet", model.Options{Features: 1})
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(f, net, loss.Combined{Alpha: 1}, optim.Default(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float32, 2*3*8*8)
	in := e.Input(&dataset.Batch{N: 2, Size: 8, Degraded: values, Clean: values}, 0)
	for _, refuses := range []int{1, 0} {
		f.refuses = refuses
		in.Put()
		if there := in.ready != nil; there != (refuses == 0) {
			t.Errorf("with %d transfers refused: on the device: %v", refuses, there)
		}
	}
	for range 2 { // what is there, and once more after a step that failed
		list := in.take()
		if len(list) != 2 {
			t.Errorf("got %d tensors, want degraded and clean pictures", len(list))
		}
		release(list...)
	}
}
