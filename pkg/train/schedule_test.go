package train

import (
	"testing"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
)

func TestMoreEpochsNeverRaiseTheLearningRate(t *testing.T) {
	old := config.Default()
	for _, stoppedAt := range []int{3, 5, 6, 12, 30, 36} {
		extended := old
		extended.NumEpochs = 67
		anchor := replan(old, extended, checkpoint.Anchor{}, stoppedAt)
		rate := learningRate(old, checkpoint.Anchor{}, stoppedAt)
		for epoch := stoppedAt + 1; epoch <= 67; epoch++ {
			next := learningRate(extended, anchor, epoch)
			if epoch > old.WarmupEpochs+1 && next > rate {
				t.Fatalf("extended at epoch %d: the rate rises from %g to %g at epoch %d", stoppedAt, rate, next, epoch)
			}
			rate = next
		}
	}
}

func TestAChangedLearningRateIsUsed(t *testing.T) {
	old := config.Default()
	lower := old
	lower.LearningRate = 1e-5
	if got := learningRate(lower, replan(old, lower, checkpoint.Anchor{}, 10), 11); got > 1e-5 {
		t.Errorf("after lowering LearningRate to 1e-5 epoch 11 uses %g", got)
	}
}
