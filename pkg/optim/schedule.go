package optim

import "math"

// Schedule is the learning rate over a run: a linear warm-up, then a cosine
// (Loshchilov & Hutter, "SGDR", ICLR 2017) in closed form.
type Schedule struct {
	Kind         string // "cosine", or "none" for a constant rate after the warm-up
	LearningRate float64
	MinLR        float64 // the cosine's end, reached after the last epoch
	WarmupEpochs int
	NumEpochs    int
}

// At returns the rate used in a 1-based epoch. It never rises after the
// warm-up, also beyond NumEpochs.
func (s Schedule) At(epoch int) float64 {
	switch {
	case epoch <= s.WarmupEpochs:
		return s.LearningRate * float64(epoch) / float64(s.WarmupEpochs)
	case s.Kind != "cosine":
		return s.LearningRate
	}
	done := float64(epoch-s.WarmupEpochs-1) / float64(max(1, s.NumEpochs-s.WarmupEpochs))
	return s.MinLR + (s.LearningRate-s.MinLR)*(1+math.Cos(math.Pi*min(done, 1)))/2
}
