// Package schedule is the learning rate of each epoch: a linear warm-up, then half
// a cosine (Loshchilov & Hutter, "SGDR: Stochastic Gradient Descent with Warm
// Restarts", ICLR 2017) without the restarts. It is a closed form of configuration,
// anchor and epoch, so that a resumed run needs nothing else.
//
//	rate := schedule.Rate(cfg, state.Anchor, state.Epoch+1)
//
// Where the configuration changes between two sessions, [Replan] says from where
// the curve goes on, so that the rate does not rise by surprise.
package schedule

import (
	"math"

	"rekindle/pkg/config"
)

// Anchor is the point from which the curve goes on since it was planned anew
// after the warm-up. The zero Anchor means the curve of the configuration.
type Anchor struct {
	Epoch int     `json:"epoch"` // 1-based
	LR    float64 `json:"lr"`    // used in that epoch
}

// Rate is the learning rate used throughout a 1-based epoch: LearningRate *
// epoch/WarmupEpochs, then what torch.optim.lr_scheduler.CosineAnnealingLR with
// T_max = NumEpochs - WarmupEpochs gives when it is stepped at the end of each
// later epoch. So the first epoch after the warm-up uses LearningRate still. From
// an anchor on it is half a cosine from there to MinLR in epoch NumEpochs.
//
// After the warm-up it never rises: beyond NumEpochs it stays at MinLR, where
// PyTorch's would climb again, and a MinLR above the rate that the curve begins
// with counts as that rate. Scheduler "none" keeps the rate.
func Rate(c config.Config, a Anchor, epoch int) float64 {
	epoch = max(epoch, 1)
	switch {
	case a.Epoch > 0 && (epoch <= a.Epoch || c.Scheduler != "cosine"):
		return a.LR
	case a.Epoch > 0:
		return cosine(a.LR, c.MinLR, epoch-a.Epoch, c.NumEpochs-a.Epoch)
	case epoch <= c.WarmupEpochs:
		return c.LearningRate * float64(epoch) / float64(c.WarmupEpochs)
	case c.Scheduler != "cosine":
		return c.LearningRate
	}
	return cosine(c.LearningRate, c.MinLR, epoch-c.WarmupEpochs-1, c.NumEpochs-c.WarmupEpochs)
}

// cosine goes down from one rate to another in so many epochs.
func cosine(from, to float64, done, epochs int) float64 {
	to = min(to, from)
	return to + (from-to)*(1+math.Cos(math.Pi*min(float64(done)/float64(max(epochs, 1)), 1)))/2
}

// Replan returns the anchor for going on with a new configuration, position
// samples into the epoch after epoch completed ones:
//
//   - A changed LearningRate or Scheduler is a wish for a new curve: that of the
//     new configuration holds from here on.
//   - So it does where NumEpochs, MinLR or WarmupEpochs changed and the last rate
//     that was used belongs to the warm-up.
//   - Where one of these changed later, the rate goes on from where it stands, down
//     to the new MinLR in the new last epoch. An epoch under way keeps its rate, and
//     a warm-up that is over does not come again.
func Replan(old, new config.Config, a Anchor, epoch, position int) Anchor {
	if position > 0 {
		epoch++ // its rate has been used
	}
	switch {
	case old.LearningRate != new.LearningRate || old.Scheduler != new.Scheduler:
		return Anchor{}
	case old.NumEpochs == new.NumEpochs && old.MinLR == new.MinLR && old.WarmupEpochs == new.WarmupEpochs:
		return a
	case a.Epoch == 0 && epoch <= old.WarmupEpochs:
		return Anchor{}
	}
	return Anchor{Epoch: epoch, LR: Rate(old, a, epoch)}
}
