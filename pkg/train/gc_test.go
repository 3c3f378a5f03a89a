package train

import (
	"runtime/debug"
	"testing"

	"rekindle/pkg/machine"
)

func TestGarbageIsAFractionOfWhatIsLive(t *testing.T) {
	for _, c := range []struct {
		liveMB int64
		want   int
	}{{0, mostPercent}, {200, mostPercent}, {300, 20}, {600, 10}, {9000, leastPercent}} {
		if got := gcPercent(c.liveMB * machine.MB); got != c.want {
			t.Errorf("%d MB live: %d percent of garbage, want %d", c.liveMB, got, c.want)
		}
	}
}

func TestTheCollectorRunsMoreOftenOnlyWhileTraining(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(77))
	now := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	var during []int
	cfg := tiny(t)
	mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{Reporter: &watch{onBatch: func(int, int) { during = append(during, now()) }}})
	if during[0] != leastPercent || during[len(during)-1] != mostPercent {
		t.Errorf("percentages while training: %v", during)
	}
	if got := now(); got != 77 {
		t.Errorf("%d percent after training, want what it was, 77", got)
	}
	t.Setenv("GOGC", "90")
	if c := startCollector(goEngine(t)); !c.idle || now() != 77 {
		t.Error("GOGC of the environment is not kept")
	}
}
