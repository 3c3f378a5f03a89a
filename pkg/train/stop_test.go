package train

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/history"
	"rekindle/pkg/internal/bitwise"
)

func TestARunInterruptedAnywhereEqualsTheStraightRun(t *testing.T) {
	cfg := tinyUNet(t)
	cfg.ValEvery = 2
	interruptedAnywhere(t, cfg)
}

func TestTheSameWithNoiseMadeOnTheFly(t *testing.T) {
	cfg := tiny(t)
	cfg.DegradeOnTheFly = true
	interruptedAnywhere(t, cfg)
}

func interruptedAnywhere(t *testing.T, cfg config.Config) {
	t.Helper()
	straight, want := mustRun(t, context.Background(), newExperiment(t, cfg), cfg, Options{})
	if straight.Outcome != Completed {
		t.Fatalf("the straight run ended %q", straight.Outcome)
	}
	r := rand.New(rand.NewPCG(1, 2))
	exp := newExperiment(t, cfg)
	cfg.ResumeFromCheckpoint = true
	sessions := 0
	for outcome := Interrupted; outcome == Interrupted; sessions++ {
		ctx, cancel := context.WithCancel(context.Background())
		stopAfter := 1 + r.IntN(4)
		w := &watch{}
		w.onBatch = func(int, int) {
			if w.batches == stopAfter {
				cancel()
			}
		}
		cfg.NumWorkers = 1 + r.IntN(4)
		result, _ := mustRun(t, ctx, exp, cfg, Options{Reporter: w})
		outcome = result.Outcome
		cancel()
	}
	if sessions < 4 {
		t.Errorf("the run was interrupted only %d times: the test is too weak", sessions-1)
	}
	bitwise.SameTraining(t, newest(t, exp), want)
	onDisk, err := history.Load(exp.HistoryPath())
	if err != nil {
		t.Fatal(err)
	}
	bitwise.SameHistory(t, onDisk, &want.History)
}

// TestAnInterruptionMayHaveACause: a context may be cancelled with an error of
// the caller's own.
func TestAnInterruptionMayHaveACause(t *testing.T) {
	cfg := tiny(t)
	exp := newExperiment(t, cfg)
	ctx, cancel := context.WithCancelCause(t.Context())
	w := &watch{onBatch: func(int, int) { cancel(errors.New("the machine is needed")) }}
	result, err := Run(ctx, exp, cfg, load(t, cfg), Options{Backend: goEngine(t), Reporter: w})
	if err != nil || result.Outcome != Interrupted || !strings.Contains(result.Checkpoint, "interrupt") {
		t.Errorf("got %+v, %v, want interrupted", result, err)
	}
}

func TestAStepThatTakesLongIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	hang := make(chan struct{})
	defer close(hang)
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := within(ctx, &memory{}, 10*time.Millisecond, func() (int, error) { <-hang; return 1, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// A learning rate beyond all measure makes the loss overflow after a step or two.
func TestALossThatIsNotANumberStopsWithTheStateBefore(t *testing.T) {
	cfg := tiny(t)
	cfg.LearningRate, cfg.GradientClip, cfg.WarmupEpochs = 1e30, 0, 0
	exp := newExperiment(t, cfg)
	w := &watch{}
	result, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t), Reporter: w})
	if !errors.Is(err, ErrDiverged) || result == nil || result.Outcome != Diverged {
		t.Fatalf("got %+v, %v, want diverged", result, err)
	}
	if !w.said("Not a number") || !w.said("3 of at most 3") {
		t.Errorf("messages: %q", w.messages)
	}
	for _, tensor := range newest(t, exp).Model {
		for _, v := range tensor.Values {
			if !isFinite(float64(v)) {
				t.Fatalf("the saved %s holds %v", tensor.Name, v)
			}
		}
	}
}

func TestEarlyStoppingSurvivesResume(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs, cfg.Patience, cfg.LearningRate, cfg.MinLR = 50, 2, 1e-12, 0 // learns nothing, so patience runs out
	exp := newExperiment(t, cfg)
	result, first := mustRun(t, context.Background(), exp, cfg, Options{})
	if result.Outcome != EarlyStopped {
		t.Fatalf("ended %q after %d epochs", result.Outcome, first.Epoch)
	}
	cfg.ResumeFromCheckpoint = true
	w := &watch{}
	result, again := mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	if result.Outcome != EarlyStopped || again.Epoch != first.Epoch || w.batches != 0 {
		t.Errorf("resume trained %d batches to epoch %d, want none", w.batches, again.Epoch)
	}
}

func TestAReadOnlyFolderIsReportedBeforeTraining(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can write to read-only folders")
	}
	cfg := tiny(t)
	exp := newExperiment(t, cfg)
	if err := os.Chmod(exp.CheckpointsDir(), 0o500); err != nil {
		t.Fatal(err)
	}
	w := &watch{}
	if _, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t), Reporter: w}); err == nil || w.batches != 0 {
		t.Errorf("got error %v after %d batches, want an error before the first", err, w.batches)
	}
}

// TestADeadDeviceLeavesAStateThatIsTrue: nothing of this session can be read; what
// is saved is the State it began with, arrays and numbers alike.
func TestADeadDeviceLeavesAStateThatIsTrue(t *testing.T) {
	cfg := tiny(t)
	_, want := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{})
	exp := newExperiment(t, cfg)
	f := &faulty{Backend: goEngine(t)}
	_, err := Run(t.Context(), exp, cfg, load(t, cfg), Options{Backend: f, Reporter: &watch{onBatch: func(_, batch int) {
		if batch == 3 {
			f.always.Store(true)
			f.dead.Store(true)
		}
	}}})
	if err == nil {
		t.Fatal("no error although the device is gone")
	}
	if s := newest(t, exp); s.Step != 0 || s.Position != 0 {
		t.Errorf("the saved State says step %d, position %d; its weights are those of step 0", s.Step, s.Position)
	}
	cfg.ResumeFromCheckpoint = true
	mustRun(t, t.Context(), exp, cfg, Options{})
	bitwise.SameTraining(t, newest(t, exp), want)
}
