package train

import (
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"rekindle/pkg/machine"
)

// TestManyStepsNeitherHangNorGrow runs as many steps as REKINDLE_STEPS says, of
// the size people train on a CPU. The Go engine's default number of workers can
// deadlock (see backend); a step that takes a minute counts as hanging.
func TestManyStepsNeitherHangNorGrow(t *testing.T) {
	steps, cfg := 200, tinyUNet(t)
	if s := os.Getenv("REKINDLE_STEPS"); s != "" {
		var err error
		if steps, err = strconv.Atoi(s); err != nil {
			t.Fatalf("REKINDLE_STEPS: %v", err)
		}
		cfg.ModelFeatures, cfg.BatchSize, cfg.PatchSize, cfg.TileOverlap = 16, 8, 32, 8
	}
	const epochs = 4
	cfg.NumEpochs, cfg.Patience, cfg.SaveEvery = epochs, 0, 0
	cfg.PatchesPerImage = steps / epochs * cfg.BatchSize / 2 // two pictures

	var done int
	var goroutines, bytes [2]int64 // after a quarter of the steps, and at the end
	hung := time.AfterFunc(time.Minute, func() {
		stacks := make([]byte, 1<<20)
		panic("a step has taken a minute:\n" + string(stacks[:runtime.Stack(stacks, true)]))
	})
	defer hung.Stop()
	look := func(i int) {
		// Workers of the step that has just ended may take a moment to go.
		goroutines[i] = int64(runtime.NumGoroutine())
		for patience := time.Now().Add(5 * time.Second); goroutines[i] > 10 && time.Now().Before(patience); {
			time.Sleep(10 * time.Millisecond)
			goroutines[i] = int64(runtime.NumGoroutine())
		}
		bytes[i], _ = machine.ProcessMemory()
	}
	began := time.Now()
	result, state := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{Reporter: &watch{onBatch: func(int, int) {
		hung.Reset(time.Minute)
		if done++; done == steps/epochs {
			look(0)
		}
		if done == steps {
			look(1)
		}
	}}})
	if result.Outcome != Completed || int(state.Step) != steps {
		t.Fatalf("%v after %d steps, want %d", result.Outcome, state.Step, steps)
	}
	t.Logf("%d steps in %.0f s; goroutines %d, then %d; %d MB, then %d MB", done, time.Since(began).Seconds(),
		goroutines[0], goroutines[1], bytes[0]/machine.MB, bytes[1]/machine.MB)
	if goroutines[1] > goroutines[0]+20 {
		t.Errorf("%d goroutines at the end, %d before", goroutines[1], goroutines[0])
	}
	if bytes[1] > bytes[0]*3/2+50*machine.MB {
		t.Errorf("%d MB at the end, %d MB before", bytes[1]/machine.MB, bytes[0]/machine.MB)
	}
}
