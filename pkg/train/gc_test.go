package train

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"rekindle/pkg/machine"
)

func TestGarbageIsAFractionOfWhatIsLive(t *testing.T) {
	for _, c := range []struct {
		liveMB int64
		want   int
	}{{0, 1500}, {10, 600}, {60, 100}, {300, 20}, {600, 10}, {9000, leastPercent}} {
		if got := gcPercent(c.liveMB * machine.MB); got != c.want {
			t.Errorf("%d MB live: %d percent of garbage, want %d", c.liveMB, got, c.want)
		}
	}
}

func TestTheCollectorFollowsWhatIsLiveWhileTraining(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(77))
	now := func() int {
		sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(sample)
		return int(sample[0].Value.Uint64())
	}
	c := startCollector(goEngine(t))
	becomes := func(what string, least, most int) {
		t.Helper()
		for until := time.Now().Add(time.Minute); now() < least || now() > most; time.Sleep(time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("%s: %d percent", what, now())
			}
			runtime.GC()
		}
	}
	held := make([]byte, 300*machine.MB)
	becomes("with 300 MB live", leastPercent, 20)
	runtime.KeepAlive(held)
	becomes("without them", 21, 1500)
	c.stop()
	runtime.GC()
	if got := now(); got != 77 {
		t.Errorf("%d percent after training, want what it was, 77", got)
	}

	cfg := tiny(t)
	during := 77
	mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{Reporter: &watch{onBatch: func(int, int) { during = now() }}})
	if during == 77 || now() != 77 {
		t.Errorf("%d percent while training, %d afterwards", during, now())
	}
	t.Setenv("GOGC", "90")
	if c := startCollector(goEngine(t)); !c.over || now() != 77 {
		t.Error("GOGC of the environment is not kept")
	}
}
