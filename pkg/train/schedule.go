package train

import (
	"math"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/optim"
)

// learningRate is the rate used in a 1-based epoch: a pure function, so that
// nothing has to be restored. Where the length of the run was changed half-way,
// the curve goes on from the anchor down to MinLR instead of jumping to the new
// plan's curve, so that the rate never rises again.
func learningRate(cfg config.Config, anchor checkpoint.Anchor, epoch int) float64 {
	if anchor.Epoch == 0 || epoch <= anchor.Epoch || cfg.Scheduler != "cosine" {
		return plan(cfg).At(epoch)
	}
	floor := min(cfg.MinLR, anchor.LR)
	done := float64(epoch-anchor.Epoch) / float64(max(cfg.NumEpochs-anchor.Epoch, 1))
	return floor + (anchor.LR-floor)*(1+math.Cos(math.Pi*min(done, 1)))/2
}

func plan(cfg config.Config) optim.Schedule {
	return optim.Schedule{
		Kind: cfg.Scheduler, LearningRate: cfg.LearningRate, MinLR: cfg.MinLR,
		WarmupEpochs: cfg.WarmupEpochs, NumEpochs: cfg.NumEpochs,
	}
}

// anchorOfPyTorch is where the curve of a file made by PyTorch has come to, if its
// scheduler had another plan than the configuration has.
func anchorOfPyTorch(cfg config.Config, s *checkpoint.State) checkpoint.Anchor {
	if s.Cosine == nil || cfg.Scheduler != "cosine" {
		return checkpoint.Anchor{}
	}
	old := cfg
	old.LearningRate, old.MinLR = s.Cosine.BaseLR, s.Cosine.MinLR
	if s.Cosine.Steps > 0 { // it is stepped after the warm-up
		old.WarmupEpochs = s.Epoch - s.Cosine.Steps
	}
	old.NumEpochs = old.WarmupEpochs + s.Cosine.Epochs
	return replan(old, cfg, checkpoint.Anchor{}, s.Epoch)
}

// replan returns the anchor for going on after epoch completed epochs when the
// plan changed from old to new. A changed learning rate is a wish for a new
// curve, a changed length a wish for more of the same one.
func replan(old, new config.Config, anchor checkpoint.Anchor, epoch int) checkpoint.Anchor {
	switch {
	case old.LearningRate != new.LearningRate || old.MinLR != new.MinLR || old.Scheduler != new.Scheduler:
		return checkpoint.Anchor{}
	case old.NumEpochs == new.NumEpochs && old.WarmupEpochs == new.WarmupEpochs:
		return anchor
	case epoch <= min(old.WarmupEpochs, new.WarmupEpochs):
		return checkpoint.Anchor{} // still warming up: the new curve starts at the same rate
	}
	return checkpoint.Anchor{Epoch: epoch, LR: learningRate(old, anchor, epoch)}
}
