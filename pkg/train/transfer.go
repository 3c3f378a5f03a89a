package train

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
	"rekindle/pkg/model"
)

// fresh returns the State of a network that has not seen anything yet.
func fresh(net *model.Network, seed int64) *checkpoint.State {
	s := &checkpoint.State{Seed: seed, BestLoss: nan}
	values := net.Init(seed)
	for _, entry := range net.Entries() {
		t := checkpoint.Tensor{Name: entry.Name, Shape: entry.Shape, Values: values[entry.Name]}
		if t.IsParameter() {
			t.First, t.Second = make([]float32, len(t.Values)), make([]float32, len(t.Values))
		}
		s.Model = append(s.Model, t)
	}
	return s
}

// fits reports how a State differs from what the network needs.
func fits(net *model.Network, s *checkpoint.State) error {
	entries := net.Entries()
	if len(entries) != len(s.Model) {
		return fmt.Errorf("it holds %d tensors, this network has %d", len(s.Model), len(entries))
	}
	for i, entry := range entries {
		t := s.Model[i]
		if t.Name != entry.Name {
			return fmt.Errorf("its tensor %d is %s, this network's is %s", i, t.Name, entry.Name)
		}
		if !t.IsCounter() && !slices.Equal(t.Shape, entry.Shape) {
			return fmt.Errorf("its %s has shape %v, this network's %v", t.Name, t.Shape, entry.Shape)
		}
	}
	return nil
}

// upload puts the arrays of a State on every device. The State is only read.
func (e *engine) upload(s *checkpoint.State) *arrays {
	a := &arrays{}
	for range max(e.devices, 1) {
		for i := range s.Model {
			for _, p := range a.parts(&s.Model[i]) {
				if *p.host != nil {
					*p.device = append(*p.device, tensors.FromFlatDataAndDimensions(*p.host, s.Model[i].Shape...))
				}
			}
		}
	}
	return a
}

// download returns a State with the numbers of s and the arrays on the first device.
// A device that cannot be read leaves s as it was.
func (e *engine) download(a *arrays, s *checkpoint.State) (full *checkpoint.State, err error) {
	defer backend.Catch(&err)
	out, left := *s, *a
	out.Model, out.History = slices.Clone(s.Model), s.History.Clone()
	for i := range out.Model {
		t := &out.Model[i]
		for _, p := range left.parts(t) {
			if len(*p.device) == 0 {
				*p.host = nil
				continue
			}
			if *p.host, err = e.copyOut((*p.device)[0]); err != nil {
				return nil, fmt.Errorf("train: copy %s from the device: %w", t.Name, err)
			}
			*p.device = (*p.device)[1:]
		}
	}
	return &out, nil
}

// copyOut copies a tensor to the host, past GoMLX's own host copy, which would
// stay attached to the tensor.
func (e *engine) copyOut(t *tensors.Tensor) ([]float32, error) {
	buffer, err := t.Buffer(e.backend, compute.DeviceNum(0))
	if err != nil {
		return nil, err
	}
	values := make([]float32, t.Size())
	return values, buffer.ToFlatData(values)
}
