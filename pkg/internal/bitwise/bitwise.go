// Package bitwise lets tests say that two runs are the same to the last bit.
package bitwise

import (
	"math"
	"slices"
	"testing"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/experiment"
)

// SameTraining compares everything that training depends on or has measured;
// times and memory are left out. What differs fails the test.
func SameTraining(t testing.TB, got, want *checkpoint.State) {
	t.Helper()
	if got.Epoch != want.Epoch || got.Position != want.Position || got.Step != want.Step {
		t.Errorf("at epoch %d position %d step %d, want %d, %d, %d", got.Epoch, got.Position, got.Step, want.Epoch, want.Position, want.Step)
	}
	if got.BestEpoch != want.BestEpoch || got.BestLoss != want.BestLoss || got.Patience != want.Patience {
		t.Errorf("best epoch %d loss %v patience %d, want %d, %v, %d", got.BestEpoch, got.BestLoss, got.Patience, want.BestEpoch, want.BestLoss, want.Patience)
	}
	for i, w := range want.Model {
		if g := got.Model[i]; g.Name != w.Name || !slices.Equal(g.Values, w.Values) || g.Count != w.Count {
			t.Errorf("%s differs", w.Name)
		}
	}
	for i := range want.FirstMoments {
		if !slices.Equal(got.FirstMoments[i], want.FirstMoments[i]) || !slices.Equal(got.SecondMoments[i], want.SecondMoments[i]) {
			t.Errorf("moments of parameter %d differ", i)
		}
	}
	if !slices.EqualFunc(got.Average, want.Average, slices.Equal) || !slices.EqualFunc(got.AverageStatistics, want.AverageStatistics, slices.Equal) {
		t.Error("the averages of the weights differ")
	}
	SameHistory(t, &got.History, &want.History)
}

// SameHistory compares what two runs have measured, times and memory left out.
func SameHistory(t testing.TB, got, want *experiment.History) {
	t.Helper()
	equal := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
	for _, c := range []struct {
		name      string
		got, want experiment.Series
	}{
		{"train_loss", got.TrainLoss, want.TrainLoss}, {"train_l1", got.TrainL1, want.TrainL1}, {"train_ssim", got.TrainSSIM, want.TrainSSIM},
		{"val_loss", got.ValLoss, want.ValLoss}, {"val_l1", got.ValL1, want.ValL1}, {"val_ssim", got.ValSSIM, want.ValSSIM}, {"lr", got.LR, want.LR},
	} {
		if !slices.EqualFunc(c.got, c.want, equal) {
			t.Errorf("history %s is %v, want %v", c.name, c.got, c.want)
		}
	}
}
