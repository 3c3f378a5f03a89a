package train

import (
	"context"
	"errors"
	"io"
	"math"
	"runtime"
	"testing"
	"time"

	"rekindle/pkg/internal/bitwise"
	"rekindle/pkg/loss"
	"rekindle/pkg/model"
	"rekindle/pkg/optim"
	"rekindle/pkg/train/step"
)

// As for a GPU the next batch goes to the engine's memory while a step runs.
func TestBatchesThatGoAheadTrainTheSame(t *testing.T) {
	cfg := tiny(t)
	_, want := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{})
	_, got := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{GPU: true})
	bitwise.SameTraining(t, got, want)

	exp := newExperiment(t, cfg)
	cfg.ResumeFromCheckpoint = true
	for outcome := Interrupted; outcome == Interrupted; {
		ctx, w := interruptAfter(2)
		result, _ := mustRun(t, ctx, exp, cfg, Options{Reporter: w, GPU: true})
		outcome = result.Outcome
	}
	bitwise.SameTraining(t, newest(t, exp), want)
}

// A batch that finds no room ahead is tried again when its turn comes.
func TestNoRoomAheadIsNoError(t *testing.T) {
	cfg := tiny(t)
	_, want := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{})
	exp := newExperiment(t, cfg)
	f := &faulty{Backend: goEngine(t)}
	f.transfer.Store(2) // before the first step: the clean half of its batch
	mustRun(t, t.Context(), exp, cfg, Options{Backend: f, GPU: true})
	bitwise.SameTraining(t, newest(t, exp), want)
}

func TestAFeedLeavesNothingBehind(t *testing.T) {
	cfg := tiny(t)
	data := load(t, cfg)
	before := runtime.NumGoroutine()
	for _, read := range []int{0, 1, 3, math.MaxInt} {
		ctx, cancel := context.WithCancel(t.Context())
		batches := newPrefetcher(data.Train.Batches(ctx, 1, 0, 4, 2), anyEngine(t), 4, true)
		for range read {
			batch, err := batches.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			batches.done(batch)
		}
		if read == 3 {
			cancel()
			if _, err := batches.next(); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("got %v after the context ended", err)
			}
		}
		batches.close()
		cancel()
	}
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines before, %d after", before, now)
	}
}

func anyEngine(t *testing.T) *step.Engine {
	t.Helper()
	net, err := model.New("unet", model.Options{Features: 1})
	if err != nil {
		t.Fatal(err)
	}
	e, err := step.New(goEngine(t), net, loss.Combined{Alpha: 1}, optim.Default(), step.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}
