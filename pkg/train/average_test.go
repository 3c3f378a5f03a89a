package train

import (
	"context"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/internal/bitwise"
	"rekindle/pkg/model"
)

// TestTheAverageFollowsItsFormula computes the average again in float64 from the
// weights after every step, which are saved for it.
func TestTheAverageFollowsItsFormula(t *testing.T) {
	cfg := tiny(t)
	cfg.EMADecay, cfg.SaveEveryMinutes, cfg.SaveEvery, cfg.NumEpochs, cfg.Patience = 0.3, 1e-9, 0, 3, 0
	exp := newExperiment(t, cfg)
	var seen []*checkpoint.State // after each step but the last of an epoch
	look := func(int, int) {
		s, err := checkpoint.Load(exp.Checkpoints().Path(checkpoint.Last))
		if err == nil {
			seen = append(seen, s)
		} else if !os.IsNotExist(err) && len(seen) > 0 {
			t.Error(err)
		}
	}
	_, last := mustRun(t, t.Context(), exp, cfg, Options{Reporter: &watch{onBatch: look}})
	seen = append(seen, last)

	start := fresh(mustNetwork(t, cfg), cfg.Seed)
	var want [][]float64
	for _, p := range start.Model {
		want = append(want, widened(p.Values))
	}
	previous := int64(0)
	for _, s := range seen {
		if s.Step == previous {
			continue
		}
		if s.Step != previous+1 {
			t.Fatalf("step %d follows step %d", s.Step, previous)
		}
		previous = s.Step
		d := min(cfg.EMADecay, float64(1+s.Step)/float64(10+s.Step))
		for i, p := range s.Model {
			for j, w := range p.Values {
				want[i][j] = d*want[i][j] + (1-d)*float64(w)
			}
		}
	}
	if previous != 15 {
		t.Fatalf("saw %d steps, want 15", previous)
	}
	moved := 0.0
	for i, p := range last.Model {
		if len(p.Average) != len(p.Values) {
			t.Fatalf("%s has %d averages, want %d", p.Name, len(p.Average), len(p.Values))
		}
		for j, got := range p.Average {
			if math.Abs(float64(got)-want[i][j]) > 1e-6 {
				t.Fatalf("%s[%d] is %g on average, want %g", p.Name, j, got, want[i][j])
			}
			moved = max(moved, math.Abs(float64(got-p.Values[j])))
		}
	}
	if moved < 1e-5 {
		t.Error("the average is the weights themselves")
	}
}

func TestTheAverageSurvivesInterruption(t *testing.T) {
	cfg := tiny(t)
	cfg.EMADecay = 0.9
	_, straight := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{})

	exp := newExperiment(t, cfg)
	for batches := range 4 {
		ctx, cancel := context.WithCancel(t.Context())
		left := batches + 2
		mustRun(t, ctx, exp, cfg, Options{Reporter: &watch{onBatch: func(int, int) {
			if left--; left == 0 {
				cancel()
			}
		}}})
		cancel()
		cfg.ResumeFromCheckpoint = true
	}
	_, pieces := mustRun(t, t.Context(), exp, cfg, Options{})
	bitwise.SameTraining(t, pieces, straight)
}

func TestTrainingDoesNotSeeTheAverageButValidationDoes(t *testing.T) {
	cfg := tiny(t)
	_, plain := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{})
	cfg.EMADecay = 0.95
	_, averaged := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{})
	for i, p := range averaged.Parameters() {
		if !slices.Equal(p.Values, plain.Parameters()[i].Values) {
			t.Fatalf("%s differs because an average was kept", p.Name)
		}
	}
	n := averaged.History.Len() - 1
	if averaged.History.At(n).ValLoss == plain.History.At(n).ValLoss {
		t.Error("validation does not use the average")
	}
	// The loss in the history is that of the tensors for use, computed on their own.
	inUse := *averaged
	inUse.Model = averaged.Network()
	prepareAverage(&inUse, 0)
	if got, want := validationLoss(t, cfg, &inUse), averaged.History.At(n).ValLoss; got != want {
		t.Errorf("the network for use has a loss of %g, the history says %g", got, want)
	}
}

func TestAverageTurnedOffAndOnAgain(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs, cfg.EMADecay = 1, 0.9
	exp := newExperiment(t, cfg)
	if _, s := mustRun(t, t.Context(), exp, cfg, Options{}); !s.HasAverage() {
		t.Fatal("no average was kept")
	}
	cfg.ResumeFromCheckpoint, cfg.NumEpochs, cfg.EMADecay = true, 2, 0
	if _, s := mustRun(t, t.Context(), exp, cfg, Options{}); s.HasAverage() {
		t.Error("an average was kept although EMADecay is 0")
	}
	cfg.NumEpochs, cfg.EMADecay = 3, 0.9
	w := &watch{}
	if _, s := mustRun(t, t.Context(), exp, cfg, Options{Reporter: w}); !s.HasAverage() {
		t.Error("no average was kept")
	}
	if !w.said("average of the weights begins") {
		t.Errorf("it was not said where the average begins: %q", w.messages)
	}
}

func widened(values []float32) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

// validationLoss measures a State as the end of an epoch does.
func validationLoss(t *testing.T, cfg config.Config, s *checkpoint.State) float64 {
	t.Helper()
	l, err := newLoop(task{exp: newExperiment(t, cfg), cfg: cfg, data: load(t, cfg), report: Silent{}, now: time.Now}, Options{Backend: goEngine(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.stopLimit()
	l.device.at = l.device.engine.Upload(s)
	sum, err := l.validate(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return mean(sum.Partial, sum.Loss)
}

func mustNetwork(t *testing.T, cfg config.Config) *model.Network {
	t.Helper()
	net, err := model.New(cfg.Model, model.OptionsOf(cfg))
	if err != nil {
		t.Fatal(err)
	}
	return net
}
