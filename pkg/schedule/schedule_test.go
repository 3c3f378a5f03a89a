package schedule

import (
	"fmt"
	"math"
	"testing"

	"rekindle/pkg/config"
	"rekindle/pkg/internal/reference"
)

type rates struct {
	First    int       `json:"first_epoch"`
	Used     []float64 `json:"lr_used_in_epoch"`
	Recorded []float64 `json:"lr_recorded_in_history_after_epoch"`
	Params   struct{ LR, E, Wm, Tmax, Eta float64 }
}

// plan is a configuration's schedule.
func plan(kind string, rate, least float64, warmup, epochs int) config.Config {
	c := config.Default()
	c.Scheduler, c.LearningRate, c.MinLR, c.WarmupEpochs, c.NumEpochs = kind, rate, least, warmup, epochs
	return c
}

func original() config.Config { return plan("cosine", 1e-4, 1e-6, 5, 36) }

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
			if got := Rate(original(), Anchor{}, r.First+i); math.Abs(got-want) > 1e-18 {
				t.Errorf("%s: epoch %d uses %v, want %v", name, r.First+i, got, want)
			}
		}
	}
	recorded := all["from the start"].Recorded
	if got, want := Rate(original(), Anchor{}, 37), recorded[len(recorded)-1]; got != want {
		t.Errorf("after the last epoch the rate is %v, want %v", got, want)
	}
}

func TestTheComparisonOfRatesSeesMistakes(t *testing.T) {
	for name, spoil := range map[string]func(*config.Config){
		"warm-up 4":           func(s *config.Config) { s.WarmupEpochs = 4 },
		"one epoch more":      func(s *config.Config) { s.NumEpochs++ },
		"minimum 0":           func(s *config.Config) { s.MinLR = 0 },
		"no cosine":           func(s *config.Config) { s.Scheduler = "none" },
		"one part in 1e9 off": func(s *config.Config) { s.LearningRate *= 1 + 1e-9 },
	} {
		s := original()
		spoil(&s)
		largest := 0.0
		for i, want := range loadRates(t)["from the start"].Used {
			largest = math.Max(largest, math.Abs(Rate(s, Anchor{}, i+1)-want))
		}
		if largest <= 1e-18 {
			t.Errorf("%s passes", name)
		}
	}
}

func TestTheRateNeverRisesAfterTheWarmUp(t *testing.T) {
	for name, s := range map[string]config.Config{
		"cosine":                    original(),
		"constant":                  plan("none", 1e-3, 1e-6, 5, 36),
		"no warm-up":                plan("cosine", 1e-3, 1e-6, 0, 36),
		"minimum above the maximum": plan("cosine", 1e-6, 1e-3, 5, 36),
		"warm-up longer than run":   plan("cosine", 1e-3, 1e-6, 50, 36),
	} {
		for epoch := s.WarmupEpochs + 1; epoch < 200; epoch++ {
			before, now := Rate(s, Anchor{}, max(epoch-1, 1)), Rate(s, Anchor{}, epoch)
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
		if got := Rate(original(), Anchor{}, epoch); got != 1e-6 {
			t.Errorf("epoch %d uses %v, want %v", epoch, got, 1e-6)
		}
	}
}

func ExampleRate() {
	cfg := config.Default() // LearningRate 1e-4, MinLR 1e-6, 5 of 36 epochs warm up
	for _, epoch := range []int{1, 5, 6, 36} {
		fmt.Printf("%d: %.3g\n", epoch, Rate(cfg, Anchor{}, epoch))
	}
	// Output:
	// 1: 2e-05
	// 5: 0.0001
	// 6: 0.0001
	// 36: 1.25e-06
}
