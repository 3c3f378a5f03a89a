package train

import (
	"fmt"
	"slices"

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

// prepareAverage makes the State agree with EMADecay, and reports whether an
// average that was not kept until now begins with the weights as they are.
// Checkpoints of the first format kept none of the statistics.
func prepareAverage(s *checkpoint.State, decay float64) (begins bool) {
	begins = decay > 0 && !s.HasAverage()
	for i := range s.Model {
		switch t := &s.Model[i]; {
		case decay == 0:
			t.Average = nil
		case t.Average == nil:
			t.Average = slices.Clone(t.Values)
		}
	}
	return begins
}
