package nn

// Recomputing keeps only the maps at the borders of blocks for the way back, and
// computes what lies between once more from them (Chen et al., "Training deep
// nets with sublinear memory cost", 2016): less memory for about a third more
// time. It is for XLA. On the Go engine the gradients written by hand hold on to
// the maps that they need, so nothing would be saved, and it does nothing.

// Recomputing makes [Scope.Block] take effect.
func (s *Scope) Recomputing() *Scope {
	if l, ok := s.lower.(native); ok {
		s.recompute, l.recompute = true, true
		s.lower = l
	}
	return s
}

// Block writes down a part of the network of which only in- and output are kept
// for the way back.
func (s *Scope) Block(f func(xs ...Map) Map, xs ...Map) Map {
	if !s.recompute {
		return f(xs...)
	}
	kept := make([]Map, len(xs))
	for i, x := range xs {
		kept[i] = x.alone(x.parts[0].Checkpoint())
	}
	y := f(kept...)
	return y.alone(y.parts[0].StopCheckpoint())
}
