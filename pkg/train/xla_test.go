//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && arm64))

package train

import (
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/stablehlo"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/internal/bitwise"
	"rekindle/pkg/internal/plugin"
	"rekindle/pkg/model"
)

// onXLA is XLA on this computer's processor. Where its plugin is missing the test
// is skipped, see package plugin. What was compiled in this process is used again:
// compiling takes XLA seconds, running these networks milliseconds.
func onXLA(t *testing.T) *faulty {
	t.Helper()
	return &faulty{Backend: plugin.XLA(t), build: func(b compute.Builder) (compute.Executable, error) {
		programs.Lock()
		defer programs.Unlock()
		field := reflect.ValueOf(b).Elem().FieldByName("builder")
		text, err := reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Interface().(*stablehlo.Builder).Build()
		if err != nil {
			return nil, err
		}
		e, found := programs.of[string(text)]
		if !found {
			made, err := b.Compile()
			if err != nil {
				return nil, err
			}
			e = kept{made}
			programs.of[string(text)] = e
		}
		return e, nil
	}}
}

var programs = struct {
	sync.Mutex
	of map[string]compute.Executable
}{of: map[string]compute.Executable{}}

// kept is there for all runs of this process.
type kept struct{ compute.Executable }

func (kept) Finalize() {}

// near fails the test unless losses differ by at most so much of them.
func near(t *testing.T, what string, got, want []float64, bound float64) {
	t.Helper()
	worst := 0.0
	for i, w := range want {
		if off := math.Abs(got[i]-w) / w; !(off <= worst) {
			worst = off
		}
	}
	t.Logf("%s: differs by %.1e", what, worst)
	if !(worst <= bound) || len(got) != len(want) {
		t.Errorf("%s: %v, want %v; they differ by %g, at most %g is due to rounding", what, got, want, worst, bound)
	}
}

func TestXLATrainsAsTheGoEngine(t *testing.T) {
	engine := onXLA(t)
	same := func(name string, bilinear, amp bool) {
		t.Run(fmt.Sprintf("%s,bilinear=%v,amp=%v", name, bilinear, amp), func(t *testing.T) {
			cfg := tiny(t)
			cfg.Model, cfg.ModelBilinear, cfg.UseAMP, cfg.ModelDepth = name, bilinear, amp, shallow(name)
			cfg.NumEpochs, cfg.PatchesPerImage = 1, 3 // batches of 4 and 2
			cfg.GradientCheckpointing = !bilinear
			loss, array := 1e-5, 1e-4
			if strings.HasPrefix(name, "attention") {
				cfg.PatchSize = 32 // from 16 its coarsest batch norms see four numbers, and multiply rounding by a hundred
				array = 5e-3       // and a ReLU near 0 may open or close
			}
			_, want := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{})
			_, got := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{Backend: engine, GPU: amp}) // AMP is for GPUs
			if amp {
				loss, array = 1e-2, 0.15 // bfloat16 has 8 bits, and a ReLU near 0 may open or close
			}
			near(t, "training loss", got.History.TrainLoss, want.History.TrainLoss, loss)
			near(t, "validation loss", got.History.ValLoss, want.History.ValLoss, loss)
			sameArrays(t, got, want, array)
		})
	}
	for _, name := range model.Names() {
		if name == "unet" || tortured() {
			same(name, true, false)
		}
		if tortured() && strings.Contains(name, "unet") {
			same(name, false, false)
		}
	}
	if tortured() {
		same("unet", true, true)
	}
	same("dncnn", true, true)
}

// tortured says that the test may take long.
func tortured() bool { return os.Getenv("REKINDLE_TORTURE") != "" }

// sameArrays compares gradients' averages and batch norm's statistics. Not the
// weights: AdamW moves those that have no gradient by the sign of its rounding.
func sameArrays(t *testing.T, got, want *checkpoint.State, bound float64) {
	t.Helper()
	for what, of := range map[string]func(checkpoint.Tensor) []float32{
		"averages of the gradients": func(t checkpoint.Tensor) []float32 { return t.First },
		"running statistics":        statistics,
	} {
		off := farthest(got, want, of)
		t.Logf("%s: off by %.1e of the largest", what, off)
		if !(off <= bound) {
			t.Errorf("the %s are off by %g of the largest, at most %g is due to rounding", what, off, bound)
		}
	}
}

func statistics(t checkpoint.Tensor) []float32 {
	if t.IsParameter() {
		return nil
	}
	return t.Values
}

// farthest is the largest difference of numbers, relative to the largest of them.
func farthest(a, b *checkpoint.State, of func(checkpoint.Tensor) []float32) float64 {
	var off, largest float32
	for i := range a.Model {
		w := of(b.Model[i])
		for j, v := range of(a.Model[i]) {
			largest, off = max(largest, v, -v), max(off, v-w[j], w[j]-v)
		}
	}
	if largest == 0 {
		return 0 // there are none: no batch norm
	}
	return float64(off / largest)
}

func TestARunOnXLAInterruptedAnywhereEqualsTheStraightRun(t *testing.T) {
	engine := onXLA(t)
	for name, change := range map[string]func(*config.Config){
		"average":     func(c *config.Config) { c.EMADecay = 0.9 },
		"accumulated": func(c *config.Config) { c.AccumulationSteps = 2 },
		"mixed":       func(c *config.Config) { c.UseAMP = true },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := tiny(t)
			change(&cfg)
			_, want := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{Backend: engine, GPU: cfg.UseAMP})
			exp := newExperiment(t, cfg)
			cfg.ResumeFromCheckpoint = true
			sessions := 0
			for outcome := Interrupted; outcome == Interrupted; sessions++ {
				ctx, w := interruptAfter(2)
				result, _ := mustRun(t, ctx, exp, cfg, Options{Backend: engine, GPU: cfg.UseAMP, Reporter: w})
				outcome = result.Outcome
			}
			if sessions < 4 {
				t.Errorf("%d sessions: the run was not interrupted", sessions)
			}
			bitwise.SameTraining(t, newest(t, exp), want)
		})
	}
}

func TestOutOfMemoryOnXLALosesNothing(t *testing.T) {
	cfg := tiny(t)
	_, want := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{Backend: onXLA(t)})
	arrays := int64(0) // that are uploaded before the first batch
	for _, tensor := range want.Model {
		switch {
		case tensor.IsParameter():
			arrays += 3
		case !tensor.IsCounter():
			arrays++
		}
	}
	for name, arm := range map[string]func(*faulty, *config.Config){
		"compilation":   func(f *faulty, _ *config.Config) { f.compile.Store(1) },
		"transfer":      func(f *faulty, _ *config.Config) { f.transfer.Store(arrays + 2) },
		"step":          func(f *faulty, _ *config.Config) { f.execute.Store(3) },
		"validation":    func(f *faulty, _ *config.Config) { f.execute.Store(6) },
		"MemoryLimitMB": func(_ *faulty, c *config.Config) { c.MemoryLimitMB = 5 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg, f := cfg, onXLA(t)
			arm(f, &cfg)
			exp := newExperiment(t, cfg)
			if result, _ := mustRun(t, t.Context(), exp, cfg, Options{Backend: f}); result.Outcome != OutOfMemory {
				t.Fatalf("ended %q, want out of memory", result.Outcome)
			}
			cfg.ResumeFromCheckpoint, cfg.MemoryLimitMB = true, 0
			_, got := mustRun(t, t.Context(), exp, cfg, Options{Backend: onXLA(t)})
			bitwise.SameTraining(t, got, want)
		})
	}
	t.Run("halved batches", func(t *testing.T) {
		cfg, f := cfg, onXLA(t)
		cfg.OOMPolicy, cfg.NumEpochs = "halve", 1
		f.execute.Store(2)
		if result, s := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{Backend: f}); result.Outcome != Completed || s.MicroBatch != 2 {
			t.Errorf("ended %q in parts of %d samples, want completed in parts of 2", result.Outcome, s.MicroBatch)
		}
	})
}

// Only in `make torture`: each process compiles anew.
func TestKilledOnXLAAtAnyMomentLosesNothing(t *testing.T) {
	if dir := os.Getenv("TORTURED_EXPERIMENT"); dir != "" {
		trainInThisProcess(t, dir)
		return
	}
	if !tortured() {
		t.Skip("REKINDLE_TORTURE is not set: make torture")
	}
	cfg, engine := tiny(t), plugin.XLA(t)
	cfg.Device = "cpu"
	began := time.Now()
	once := cfg
	once.NumEpochs = 1
	mustRun(t, t.Context(), newExperiment(t, once), once, Options{Backend: engine})
	torture(t, cfg, engine, max(kills(t)/10, 3), 2*time.Since(began))
}

// TestXLADividesABatchOverDevices: 18 patches in batches of 4, of which the last
// has 2, fewer than four devices, and 3 to validate with.
func TestXLADividesABatchOverDevices(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs, cfg.PatchesPerImage = 1, 2 // one step
	_, whole := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{Backend: onXLA(t)})
	long := cfg
	long.NumEpochs, long.PatchesPerImage = 3, 9
	_, straight := mustRun(t, t.Context(), newExperiment(t, long), long, Options{Backend: onXLA(t)})
	for _, n := range []int{2, 4} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			if have := onXLA(t).NumDevices(); have < n {
				t.Skipf("this plugin shows %d devices", have)
			}
			_, divided := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{Backend: onXLA(t), Devices: n})
			near(t, "loss of the first step", divided.History.TrainLoss, whole.History.TrainLoss, 1e-5)
			sameArrays(t, divided, whole, 1e-5)

			// Saved on one, resumed on several, and the other way round.
			for _, first := range []int{0, n} {
				exp, c, w := newExperiment(t, long), long, &watch{}
				c.NumEpochs = 1
				mustRun(t, t.Context(), exp, c, Options{Backend: onXLA(t), Devices: first})
				c.NumEpochs, c.ResumeFromCheckpoint = 3, true
				_, s := mustRun(t, t.Context(), exp, c, Options{Backend: onXLA(t), Devices: n - first, Reporter: w})
				if !w.said(fmt.Sprintf("xla:cpu, %d devices", n)) {
					t.Errorf("it was not said what computed: %q", w.messages)
				}
				near(t, fmt.Sprintf("training loss, begun on %d", max(first, 1)), s.History.TrainLoss, straight.History.TrainLoss, afterEpochs)
				near(t, fmt.Sprintf("validation loss, begun on %d", max(first, 1)), s.History.ValLoss, straight.History.ValLoss, afterEpochs)
			}
		})
	}
}

// afterEpochs bounds what rounding makes of a loss in three epochs, measured to be
// below 5e-6. It grows: losses differ by
// 1e-7 in the first step, and AdamW, which divides by the size of gradients,
// makes as much of small ones as of large ones.
const afterEpochs = 1e-4

func TestAnExperimentGoesOnOnAnotherEngine(t *testing.T) {
	cfg := tiny(t)
	_, straight := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{})
	for _, engines := range [][]compute.Backend{{goEngine(t), onXLA(t), goEngine(t)}, {onXLA(t), goEngine(t), onXLA(t)}} {
		exp, c := newExperiment(t, cfg), cfg
		for i, engine := range engines {
			ctx, w := interruptAfter(7) // of the 15 batches
			_, s := mustRun(t, ctx, exp, c, Options{Backend: engine, Reporter: w})
			c.ResumeFromCheckpoint = true
			is := backend.NameOf(engine)
			if i > 0 {
				if was := backend.NameOf(engines[i-1]); !w.said("computed by " + was + ", this run is by " + is) {
					t.Errorf("the change from %s to %s was not said: %q", was, is, w.messages)
				}
			}
			if s.Engine != is {
				t.Errorf("computed by %q, want %q", s.Engine, is)
			}
		}
		s := newest(t, exp)
		near(t, "training loss", s.History.TrainLoss, straight.History.TrainLoss, afterEpochs)
		near(t, "validation loss", s.History.ValLoss, straight.History.ValLoss, afterEpochs)
		if s.BestEpoch != straight.BestEpoch || s.Step != straight.Step {
			t.Errorf("best epoch %d after %d steps, want %d, %d", s.BestEpoch, s.Step, straight.BestEpoch, straight.Step)
		}
		stats, err := exp.LoadStats()
		if err != nil {
			t.Fatal(err)
		}
		var names, want []string
		for i, session := range stats.Sessions {
			names, want = append(names, session.Engine), append(want, backend.NameOf(engines[i]))
		}
		if !slices.Equal(names, want) || len(names) != 3 {
			t.Errorf("the sessions' engines are %q, want %q", names, want)
		}
	}
}
