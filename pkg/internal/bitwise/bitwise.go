// Package bitwise lets tests say that two runs are the same to the last bit.
package bitwise

import (
	"math"
	"slices"
	"testing"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/history"
)

// SameTraining compares everything that training depends on or has measured;
// times and memory are left out. What differs fails the test.
func SameTraining(t testing.TB, got, want *checkpoint.State) {
	t.Helper()
	if got.Cursor != want.Cursor {
		t.Errorf("at %+v, want %+v", got.Cursor, want.Cursor)
	}
	if got.BestEpoch != want.BestEpoch || got.BestLoss != want.BestLoss || got.Patience != want.Patience {
		t.Errorf("best epoch %d loss %v patience %d, want %d, %v, %d", got.BestEpoch, got.BestLoss, got.Patience, want.BestEpoch, want.BestLoss, want.Patience)
	}
	if len(got.Model) != len(want.Model) {
		t.Fatalf("%d tensors, want %d", len(got.Model), len(want.Model))
	}
	for i, w := range want.Model {
		g := got.Model[i]
		if g.Name != w.Name || g.Count != w.Count || !slices.Equal(g.Values, w.Values) {
			t.Errorf("%s differs", w.Name)
		}
		if !slices.Equal(g.First, w.First) || !slices.Equal(g.Second, w.Second) {
			t.Errorf("the moments of %s differ", w.Name)
		}
		if !slices.Equal(g.Average, w.Average) {
			t.Errorf("the averages of %s differ", w.Name)
		}
	}
	SameHistory(t, &got.History, &want.History)
}

// SameHistory compares what two runs have measured, times and memory left out.
func SameHistory(t testing.TB, got, want *history.History) {
	t.Helper()
	equal := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
	for _, c := range []struct {
		name      string
		got, want history.Series
	}{
		{"train_loss", got.TrainLoss, want.TrainLoss}, {"train_l1", got.TrainL1, want.TrainL1}, {"train_ssim", got.TrainSSIM, want.TrainSSIM},
		{"val_loss", got.ValLoss, want.ValLoss}, {"val_l1", got.ValL1, want.ValL1}, {"val_ssim", got.ValSSIM, want.ValSSIM}, {"lr", got.LR, want.LR},
	} {
		if !slices.EqualFunc(c.got, c.want, equal) {
			t.Errorf("history %s is %v, want %v", c.name, c.got, c.want)
		}
	}
}
