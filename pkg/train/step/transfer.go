package step

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
)

// Upload puts the arrays of a State on every device. The State is only read.
func (e *Engine) Upload(s *checkpoint.State) *Arrays {
	a := &Arrays{}
	for range max(e.Devices, 1) {
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

// Download returns a State with the numbers of s and the arrays on the first device.
// A device that cannot be read leaves s as it was.
func (e *Engine) Download(a *Arrays, s *checkpoint.State) (full *checkpoint.State, err error) {
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
func (e *Engine) copyOut(t *tensors.Tensor) ([]float32, error) {
	buffer, err := t.Buffer(e.backend, compute.DeviceNum(0))
	if err != nil {
		return nil, err
	}
	values := make([]float32, t.Size())
	return values, buffer.ToFlatData(values)
}
