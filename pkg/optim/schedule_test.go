package optim

import (
	"fmt"
	"math"
	"testing"

	"rekindle/pkg/internal/reference"
)

type rates struct {
	First    int       `json:"first_epoch"`
	Used     []float64 `json:"lr_used_in_epoch"`
	Recorded []float64 `json:"lr_recorded_in_history_after_epoch"`
	Params   struct{ LR, E, Wm, Tmax, Eta float64 }
}

func original() Schedule {
	return Schedule{Kind: "cosine", LearningRate: 1e-4, MinLR: 1e-6, WarmupEpochs: 5, NumEpochs: 36}
}

func loadRates(t *testing.T) map[string]rates {
	t.Helper()
	var all struct {
		Main   rates `json:"main"`
		At12   rates `json:"resume_after_epoch_12"`
		Warmup rates `json:"resume_after_epoch_3_inside_warmup"`
	}
	reference.JSON(t, "lr_schedule.json", &all)
	all.Main.First = 1
	return map[string]rates{"from the start": all.Main, "resumed after 12": all.At12, "resumed inside the warm-up": all.Warmup}
}

func TestTheScheduleIsPyTorchsWhereverItIsResumed(t *testing.T) {
	all := loadRates(t)
	p := all["from the start"].Params
	if s := original(); s.LearningRate != p.LR || s.MinLR != p.Eta || float64(s.WarmupEpochs) != p.Wm || float64(s.NumEpochs) != p.E {
		t.Fatalf("the reference is for %+v, the test for %+v", p, s)
	}
	for name, r := range all {
		if last := r.First + len(r.Used) - 1; last != 36 {
			t.Errorf("%s: the reference ends at epoch %d, want 36", name, last)
		}
		for i, want := range r.Used {
			if got := original().At(r.First + i); math.Abs(got-want) > 1e-18 {
				t.Errorf("%s: epoch %d uses %v, want %v", name, r.First+i, got, want)
			}
		}
	}
	recorded := all["from the start"].Recorded
	if got, want := original().At(37), recorded[len(recorded)-1]; got != want {
		t.Errorf("after the last epoch the rate is %v, want %v", got, want)
	}
}

func TestTheComparisonOfRatesSeesMistakes(t *testing.T) {
	for name, spoil := range map[string]func(*Schedule){
		"warm-up 4":           func(s *Schedule) { s.WarmupEpochs = 4 },
		"one epoch more":      func(s *Schedule) { s.NumEpochs++ },
		"minimum 0":           func(s *Schedule) { s.MinLR = 0 },
		"no cosine":           func(s *Schedule) { s.Kind = "none" },
		"one part in 1e9 off": func(s *Schedule) { s.LearningRate *= 1 + 1e-9 },
	} {
		s := original()
		spoil(&s)
		largest := 0.0
		for i, want := range loadRates(t)["from the start"].Used {
			largest = math.Max(largest, math.Abs(s.At(i+1)-want))
		}
		if largest <= 1e-18 {
			t.Errorf("%s passes", name)
		}
	}
}

func TestTheRateNeverRisesAfterTheWarmUp(t *testing.T) {
	for name, s := range map[string]Schedule{
		"cosine":                    original(),
		"constant":                  {"none", 1e-3, 1e-6, 5, 36},
		"no warm-up":                {"cosine", 1e-3, 1e-6, 0, 36},
		"minimum above the maximum": {"cosine", 1e-6, 1e-3, 5, 36},
		"warm-up longer than run":   {"cosine", 1e-3, 1e-6, 50, 36},
	} {
		for epoch := s.WarmupEpochs + 1; epoch < 200; epoch++ {
			before, now := s.At(max(epoch-1, 1)), s.At(epoch)
			if now > before || now < 0 || math.IsNaN(now) {
				t.Fatalf("%s: from %v the rate goes to %v in epoch %d", name, before, now, epoch)
			}
		}
	}
}

// The original's cosine climbs again when a finished run of 36 epochs is given
// 31 more and its scheduler is loaded with the old length.
func TestARunBeyondItsEndStaysAtTheMinimum(t *testing.T) {
	for epoch := 37; epoch <= 67; epoch++ {
		if got := original().At(epoch); got != 1e-6 {
			t.Errorf("epoch %d uses %v, want %v", epoch, got, 1e-6)
		}
	}
}

func ExampleSchedule() {
	s := Schedule{Kind: "cosine", LearningRate: 1e-4, MinLR: 1e-6, WarmupEpochs: 5, NumEpochs: 36}
	for _, epoch := range []int{1, 5, 6, 36} {
		fmt.Printf("%d: %.3g\n", epoch, s.At(epoch))
	}
	// Output:
	// 1: 2e-05
	// 5: 0.0001
	// 6: 0.0001
	// 36: 1.25e-06
}
