package train

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
	"rekindle/pkg/model"
	"rekindle/pkg/nn"
)

// fresh returns the State of a network that has not seen anything yet.
func fresh(net *model.Network, seed int64) *checkpoint.State {
	s := &checkpoint.State{Seed: seed, BestLoss: nan}
	values := net.Init(seed)
	for _, entry := range net.Entries() {
		t := checkpoint.Tensor{Name: entry.Name, Shape: entry.Shape, Values: values[entry.Name]}
		s.Model = append(s.Model, t)
		if t.IsParameter() {
			s.FirstMoments = append(s.FirstMoments, make([]float32, len(t.Values)))
			s.SecondMoments = append(s.SecondMoments, make([]float32, len(t.Values)))
		}
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
	if n := len(net.Weights()); len(s.FirstMoments) != n || len(s.SecondMoments) != n {
		return fmt.Errorf("it holds optimizer moments for %d parameters, this network has %d", len(s.FirstMoments), n)
	}
	if s.Average != nil && len(s.Average) != len(s.FirstMoments) {
		return fmt.Errorf("it holds averages of %d parameters, this network has %d", len(s.Average), len(s.FirstMoments))
	}
	if n := len(s.Statistics()); s.AverageStatistics != nil && len(s.AverageStatistics) != n {
		return fmt.Errorf("it holds averages of %d batch-norm statistics, this network has %d", len(s.AverageStatistics), n)
	}
	return nil
}

// upload puts the arrays of a State on every device. The State is only read.
func (e *engine) upload(s *checkpoint.State) *arrays {
	a := &arrays{}
	for range max(e.devices, 1) {
		moment, statistic := 0, 0
		for i, entry := range e.net.Entries() {
			t := s.Model[i]
			switch entry.Role {
			case nn.Weight:
				a.weights = append(a.weights, tensors.FromFlatDataAndDimensions(t.Values, t.Shape...))
				a.first = append(a.first, tensors.FromFlatDataAndDimensions(s.FirstMoments[moment], t.Shape...))
				a.second = append(a.second, tensors.FromFlatDataAndDimensions(s.SecondMoments[moment], t.Shape...))
				if s.Average != nil {
					a.average = append(a.average, tensors.FromFlatDataAndDimensions(s.Average[moment], t.Shape...))
				}
				moment++
			case nn.Statistic:
				a.statistics = append(a.statistics, tensors.FromFlatDataAndDimensions(t.Values, t.Shape...))
				if s.AverageStatistics != nil {
					a.averageStatistics = append(a.averageStatistics, tensors.FromFlatDataAndDimensions(s.AverageStatistics[statistic], t.Shape...))
				}
				statistic++
			}
		}
	}
	return a
}

// download returns a State with the scalars of s and the arrays on the first device.
// A device that cannot be read leaves s as it was.
func (e *engine) download(a *arrays, s *checkpoint.State) (full *checkpoint.State, err error) {
	defer backend.Catch(&err)
	out := *s
	out.Model = slices.Clone(s.Model)
	out.FirstMoments = make([][]float32, len(e.weights))
	out.SecondMoments = make([][]float32, len(e.weights))
	out.Average, out.AverageStatistics = nil, nil
	if a.average != nil {
		out.AverageStatistics = make([][]float32, len(e.statistics))
		out.Average = make([][]float32, len(e.weights))
	}
	out.History = s.History.Clone()
	weight, statistic := 0, 0
	for i, entry := range e.net.Entries() {
		var err error
		switch t := &out.Model[i]; entry.Role {
		case nn.Weight:
			if t.Values, err = e.copyOut(a.weights[weight]); err != nil {
				break
			}
			if out.FirstMoments[weight], err = e.copyOut(a.first[weight]); err != nil {
				break
			}
			if out.SecondMoments[weight], err = e.copyOut(a.second[weight]); err != nil {
				break
			}
			if a.average != nil {
				out.Average[weight], err = e.copyOut(a.average[weight])
			}
			weight++
		case nn.Statistic:
			if t.Values, err = e.copyOut(a.statistics[statistic]); err != nil {
				break
			}
			if a.average != nil {
				out.AverageStatistics[statistic], err = e.copyOut(a.averageStatistics[statistic])
			}
			statistic++
		}
		if err != nil {
			return nil, fmt.Errorf("train: copy %s from the device: %w", entry.Name, err)
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
