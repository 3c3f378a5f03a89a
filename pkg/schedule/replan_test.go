package schedule

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"rekindle/pkg/config"
)

// TestEveryChangeAtEveryMomentFollowsTheTable is the table in docs/resume.md.
func TestEveryChangeAtEveryMomentFollowsTheTable(t *testing.T) {
	const (
		newCurve = "the new configuration's curve"
		goesOn   = "on from the last rate"
		same     = "as if never stopped"
	)
	old := original() // 5 of 36 epochs warm up
	for _, c := range []struct {
		change         string
		do             func(*config.Config)
		during, beyond string // the warm-up
	}{
		{"nothing", func(c *config.Config) {}, same, same},
		{"keys that have nothing to do with it", func(c *config.Config) { c.BatchSize, c.Patience = 1, 99 }, same, same},
		{"NumEpochs 67", func(c *config.Config) { c.NumEpochs = 67 }, newCurve, goesOn},
		{"NumEpochs 37", func(c *config.Config) { c.NumEpochs = 37 }, newCurve, goesOn},
		{"MinLR 1e-7", func(c *config.Config) { c.MinLR = 1e-7 }, newCurve, goesOn},
		{"MinLR 5e-5", func(c *config.Config) { c.MinLR = 5e-5 }, newCurve, goesOn},
		{"MinLR above LearningRate", func(c *config.Config) { c.MinLR = 1 }, newCurve, goesOn},
		{"NumEpochs 72 and MinLR 1e-7", func(c *config.Config) { c.NumEpochs, c.MinLR = 72, 1e-7 }, newCurve, goesOn},
		{"WarmupEpochs 1", func(c *config.Config) { c.WarmupEpochs = 1 }, newCurve, goesOn},
		{"WarmupEpochs 30", func(c *config.Config) { c.WarmupEpochs = 30 }, newCurve, goesOn},
		{"LearningRate 1e-5", func(c *config.Config) { c.LearningRate = 1e-5 }, newCurve, newCurve},
		{"LearningRate 1e-3", func(c *config.Config) { c.LearningRate = 1e-3 }, newCurve, newCurve},
		{"LearningRate and NumEpochs", func(c *config.Config) { c.LearningRate, c.NumEpochs = 1e-3, 72 }, newCurve, newCurve},
		{"Scheduler none", func(c *config.Config) { c.Scheduler = "none" }, newCurve, newCurve},
	} {
		changed := old
		c.do(&changed)
		for at := range 37 {
			for _, position := range []int{0, 8} {
				last := at // epoch whose rate was used
				if position > 0 {
					last++
				}
				want := c.beyond
				if last <= old.WarmupEpochs {
					want = c.during
				}
				anchor := Replan(old, changed, Anchor{}, at, position)
				before := Rate(old, Anchor{}, last)
				for epoch := at + 1; epoch <= changed.NumEpochs; epoch++ {
					rate := Rate(changed, anchor, epoch)
					ok := true
					switch {
					case want == same:
						ok = rate == Rate(old, Anchor{}, epoch)
					case want == newCurve:
						ok = rate == Rate(changed, Anchor{}, epoch)
					case epoch == last:
						ok = rate == before
					default:
						ok = rate <= before && rate >= min(changed.MinLR, Rate(old, Anchor{}, last))
					}
					if !ok {
						t.Fatalf("%s after epoch %d, position %d: epoch %d has rate %g, after %g; want %s", c.change, at, position, epoch, rate, before, want)
					}
					before = rate
				}
				if end := Rate(changed, anchor, changed.NumEpochs); want == goesOn && last < changed.NumEpochs && end != min(changed.MinLR, Rate(old, Anchor{}, last)) {
					t.Errorf("%s after epoch %d, position %d: the last epoch has rate %g, want MinLR", c.change, at, position, end)
				}
			}
		}
	}
}

// TestTheRateNeverRisesUnasked changes a run's schedule again and again, at random
// moments: without another LearningRate or Scheduler it rises in the warm-up alone.
func TestTheRateNeverRisesUnasked(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 0))
		draw := func(c config.Config) config.Config {
			if r.IntN(2) == 0 {
				c.NumEpochs = 1 + r.IntN(40)
			}
			if r.IntN(2) == 0 {
				c.WarmupEpochs = r.IntN(12)
			}
			if r.IntN(2) == 0 {
				c.MinLR = []float64{0, 1e-7, 1e-6, 5e-5, 1}[r.IntN(5)]
			}
			return c
		}
		cfg := draw(plan([]string{"cosine", "none"}[r.IntN(2)], 1e-4, 1e-6, 5, 36))
		anchor, log := Anchor{}, ""
		used, warm, epoch, position := 0.0, true, 0, 0 // the warm-up is over when a rate after it was used
		for range 40 {
			if r.IntN(3) == 0 {
				next := draw(cfg)
				anchor = Replan(cfg, next, anchor, epoch, position)
				log += fmt.Sprintf("\nepoch %d, position %d: %d epochs, %d warm up, MinLR %g", epoch, position, next.NumEpochs, next.WarmupEpochs, next.MinLR)
				cfg = next
			}
			if epoch >= cfg.NumEpochs {
				continue
			}
			rate := Rate(cfg, anchor, epoch+1)
			if rate > used && !warm {
				t.Fatalf("seed %d: the rate rises from %g to %g in epoch %d:%s", seed, used, rate, epoch+1, log)
			}
			used, warm = rate, warm && epoch+1 <= cfg.WarmupEpochs
			if position == 0 && r.IntN(3) == 0 {
				position = 8
			} else {
				epoch, position = epoch+1, 0
			}
		}
	}
}

func TestTheWorstCasesOfBefore(t *testing.T) {
	old := original()
	longer := old
	longer.NumEpochs, longer.MinLR = 72, 1e-7
	last := Rate(old, Anchor{}, 36)
	if got := Rate(longer, Replan(old, longer, Anchor{}, 36, 0), 37); got > last {
		t.Errorf("36 of now 72 epochs done, MinLR 1e-7: the rate rises from %g to %g", last, got)
	}
	short := old
	short.WarmupEpochs = 1
	if got := Rate(short, Replan(old, short, Anchor{}, 2, 0), 3); got < 0.9*old.LearningRate {
		t.Errorf("a warm-up that is over since its length was changed leaves the rate at %g, want nearly %g", got, old.LearningRate)
	}
	longer = old
	longer.NumEpochs = 72
	if got, want := Rate(longer, Replan(old, longer, Anchor{}, 20, 4), 21), Rate(old, Anchor{}, 21); got != want {
		t.Errorf("in the middle of epoch 21 the rate becomes %g, want %g to its end", got, want)
	}
}
