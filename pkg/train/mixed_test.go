package train

import (
	"testing"
	"time"
)

// A plugin without convolutions in bfloat16 must not end a run that asks for
// them: what is tried first fails here, what follows does not.
func TestUseAMPFallsBackToFloat32(t *testing.T) {
	cfg := tiny(t)
	cfg.UseAMP = true
	for _, works := range []bool{true, false} {
		f, w := &faulty{Backend: goEngine(t)}, &watch{}
		if !works {
			f.compile.Store(1)
		}
		task := task{exp: newExperiment(t, cfg), cfg: cfg, data: load(t, cfg), onGPU: true, report: w, now: time.Now}
		l, err := newLoop(task, Options{Backend: f, GPU: true})
		if err != nil {
			t.Fatal(err)
		}
		l.stopLimit()
		if l.device.engine.Mixed != works {
			t.Errorf("bfloat16 works %v: the run is mixed %v", works, l.device.engine.Mixed)
		}
		if w.said("does not convolve in bfloat16 (PJRT error (code=8)") == works {
			t.Errorf("bfloat16 works %v: it says %q", works, w.messages)
		}
	}
}
