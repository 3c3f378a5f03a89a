package optim

import "math"

// Schedule is the learning rate over a run: a linear warm-up, then half a
// cosine (Loshchilov & Hutter, "SGDR: Stochastic Gradient Descent with Warm
// Restarts", ICLR 2017) without the restarts. It is a closed form, so that a
// resumed run needs nothing but the number of its epoch.
type Schedule struct {
	Kind         string  // "cosine", or "none" for a constant rate after the warm-up
	LearningRate float64 // at the end of the warm-up
	MinLR        float64 // the cosine's end, reached after the last epoch
	WarmupEpochs int
	NumEpochs    int
}

// At returns the rate used throughout a 1-based epoch: LearningRate *
// epoch/WarmupEpochs, then what torch.optim.lr_scheduler.CosineAnnealingLR with
// T_max = NumEpochs - WarmupEpochs gives when it is stepped at the end of each
// later epoch. So the first epoch after the warm-up uses LearningRate still.
//
// After the warm-up it never rises: beyond NumEpochs it stays at MinLR, where
// PyTorch's would climb again, and a MinLR above LearningRate counts as
// LearningRate. It knows one plan; to go on from an old plan with a new one is
// the business of package train.
func (s Schedule) At(epoch int) float64 {
	epoch = max(epoch, 1)
	switch {
	case epoch <= s.WarmupEpochs:
		return s.LearningRate * float64(epoch) / float64(s.WarmupEpochs)
	case s.Kind != "cosine":
		return s.LearningRate
	}
	floor := min(s.MinLR, s.LearningRate)
	done := float64(epoch-s.WarmupEpochs-1) / float64(max(1, s.NumEpochs-s.WarmupEpochs))
	return floor + (s.LearningRate-floor)*(1+math.Cos(math.Pi*min(done, 1)))/2
}
