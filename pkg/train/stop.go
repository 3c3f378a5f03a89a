package train

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
)

// grace is how long a step that is under way may go on after an interruption.
// The program is killed 5 s after Jupyter's interrupt, and saving needs the rest:
// beside a step that goes on it took up to four times as long as before the first.
func (r *run) grace() time.Duration {
	const enough = 4 * time.Second // of the 5
	return min(max(enough-5*r.trialSave, 0), 1500*time.Millisecond)
}

// within runs f and returns what it returns. When ctx is cancelled f gets the
// grace to finish; after that, or when memory runs over its limit, its result
// is given up, and f goes on in the background with arrays that nobody changes.
func within[T any](ctx context.Context, m *memory, grace time.Duration, f func() T) (T, error) {
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	done, idle := make(chan T, 1), make(chan struct{})
	m.idle = idle
	go func() {
		defer close(idle)
		done <- f()
	}()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	interrupted := ctx.Done()
	var late <-chan time.Time
	for {
		select {
		case v := <-done:
			return v, m.look() // steps shorter than a tick are looked at once
		case <-interrupted:
			interrupted, late = nil, time.After(grace)
		case <-late:
			return zero, ctx.Err()
		case <-tick.C:
			if err := m.look(); err != nil {
				return zero, err
			}
		}
	}
}

// reasonDiverged marks a checkpoint after which the loss was not a number.
const reasonDiverged = "diverged"

// stop saves what can be saved when a run cannot go on, and says what to do.
func (r *run) stop(cause error) (Outcome, error) {
	epoch := r.state.Epoch + 1
	switch {
	case errors.Is(cause, context.Canceled), errors.Is(cause, context.DeadlineExceeded):
		file, err := r.saveEmergency(checkpoint.Emergency("interrupt", epoch), "interrupted")
		if err != nil {
			return "", err
		}
		r.sayInterrupted(file)
		return Interrupted, nil
	case backend.IsOutOfMemory(cause):
		file, err := r.saveEmergency(checkpoint.Emergency("oom", epoch), "out of memory")
		if err != nil {
			return "", errors.Join(cause, err)
		}
		advice, smaller := r.memory.advice(cause, r.atOnce())
		remedy := r.memory.remedy(smaller)
		r.sayOutOfMemory(file, advice, remedy)
		return OutOfMemory, fmt.Errorf("train: %w with BatchSize %d in epoch %d: set %s and ResumeFromCheckpoint = true, then run \"2. Configuration\" and \"9. Training Loop\" again",
			ErrOutOfMemory, r.cfg.BatchSize, epoch, remedy)
	case errors.Is(cause, ErrDiverged):
		// What was left out up to here comes again, with whatever will be changed.
		if r.rejected >= 0 {
			r.state.Position = r.rejected
		}
		if _, err := r.saveEmergency(checkpoint.Emergency("diverged", epoch), reasonDiverged); err != nil {
			return "", errors.Join(cause, err)
		}
		r.sayDiverged()
		return Diverged, fmt.Errorf("train: %w", cause)
	}
	// Anything else, such as a full disk: what was saved stays, and one more save is tried.
	if _, err := r.saveEmergency(checkpoint.Emergency("error", epoch), "error"); err != nil {
		return "", errors.Join(fmt.Errorf("train: epoch %d: %w", epoch, cause), err)
	}
	return "", fmt.Errorf("train: epoch %d: %w", epoch, cause)
}

// snapshot copies the State to the host. A device that cannot be read any more
// leaves the newest State that was held on the host already.
func (r *run) snapshot() *checkpoint.State {
	r.state.Reason = ""
	if r.at == r.held {
		// The device has nothing new; an abandoned first step may still be moving it there.
		full := *r.state
		full.Model, full.Average, full.AverageStatistics = r.safe.Model, r.safe.Average, r.safe.AverageStatistics
		full.FirstMoments, full.SecondMoments = r.safe.FirstMoments, r.safe.SecondMoments
		full.History, full.Config = r.state.History.Clone(), r.cfg
		r.safe = &full
		return r.safe
	}
	full, err := r.engine.download(r.at, r.state)
	if err != nil {
		r.report.Message("⚠️  The device cannot be read (%v); saving the state of epoch %d, position %d", err, r.safe.Epoch, r.safe.Position)
		return r.safe
	}
	for i := range full.Model {
		if full.Model[i].IsCounter() {
			full.Model[i].Count += r.state.Step - r.counted
		}
	}
	full.Config = r.cfg
	r.safe, r.held = full, r.at
	return full
}

func (r *run) saveEmergency(name, reason string) (string, error) {
	path := checkpoint.Path(r.exp.CheckpointsDir(), name)
	s := *r.snapshot()
	s.Reason = reason
	if err := checkpoint.Save(path, &s); err != nil {
		return "", fmt.Errorf("train: the emergency checkpoint could not be saved: %w", err)
	}
	r.lastFile = path
	if err := s.History.Save(r.exp.HistoryPath()); err != nil {
		return "", fmt.Errorf("train: %w", err)
	}
	return path, nil
}

// rule is the line that sets a message apart, as wide as the guide's.
const rule = "================================================================================"

func (r *run) sayInterrupted(file string) {
	r.report.Message("")
	r.report.Message(rule)
	r.report.Message("⚠️  Training interrupted in epoch %d; nothing is lost", r.state.Epoch+1)
	r.report.Message("   💾 Emergency checkpoint: %s", r.short(file))
	r.report.Message("   📊 History: %s", r.short(r.exp.HistoryPath()))
	r.report.Message("   ▶️  To go on: ResumeFromCheckpoint = true, then Run All")
	r.report.Message(rule)
}

// sayDiverged tells how to go back: weights that a step too large has spoilt
// are numbers still, and no learning rate mends them.
func (r *run) sayDiverged() {
	r.report.Message("")
	r.report.Message("❌ The loss is not a number in epoch %d; the state before is in %s", r.state.Epoch+1, r.short(r.lastFile))
	r.report.Message("   ▶️  To go on: a lower LearningRate and ResumeFromCheckpoint = true, then Run All")
	entries, err := checkpoint.List(r.exp.CheckpointsDir())
	if err != nil {
		return
	}
	for _, e := range entries { // newest first
		if e.Err == nil && e.Position == 0 && 0 < e.Epoch && e.Epoch <= r.state.History.Len() && isFinite(r.state.History.ValLoss[e.Epoch-1]) {
			r.report.Message("   ↩️  If it stays so, the weights are spoilt: move the newer files out of %s, and the same goes on from %s, epoch %d",
				r.short(r.exp.CheckpointsDir()), e.Name(), e.Epoch)
			return
		}
	}
}

func (r *run) sayOutOfMemory(file, advice, remedy string) {
	r.report.Message("")
	r.report.Message(rule)
	r.report.Message("❌ OUT OF MEMORY in epoch %d with BatchSize %d; nothing is lost", r.state.Epoch+1, r.cfg.BatchSize)
	r.report.Message("   💾 Emergency checkpoint: %s", r.short(file))
	r.report.Message("   📊 History: %s", r.short(r.exp.HistoryPath()))
	if advice != "" {
		r.report.Message("   📐 %s", advice)
	}
	r.report.Message("   ▶️  To go on: %s and ResumeFromCheckpoint = true, then run Configuration and Training Loop", remedy)
	r.report.Message(rule)
}

// short is a path as it is seen from the experiment's own folder's parent.
func (r *run) short(path string) string {
	if rel, err := filepath.Rel(filepath.Dir(r.exp.Dir), path); err == nil {
		return rel
	}
	return path
}
