package train

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
)

// reasonDiverged marks a checkpoint after which the loss was not a number.
const reasonDiverged = "diverged"

// stop saves what can be saved when a session cannot go on, and says what to do. A
// device that cannot be read any more leaves the newest State on the host.
func (l *loop) stop(cause error) (Outcome, error) {
	outcome, why, reason := Outcome(""), "error", "error" // such as a full disk: what was saved stays, and one more save is tried
	switch {
	case errors.Is(cause, context.Canceled), errors.Is(cause, context.DeadlineExceeded):
		outcome, why, reason = Interrupted, "interrupt", "interrupted"
	case errors.Is(cause, errLimit):
		outcome, reason = LimitReached, "limit of the session"
	case backend.IsOutOfMemory(cause):
		outcome, why, reason = OutOfMemory, "oom", "out of memory"
	case errors.Is(cause, ErrDiverged):
		outcome, why, reason = Diverged, "diverged", reasonDiverged
		// What was left out up to here comes again, with whatever will be changed.
		if l.rejected >= 0 {
			l.state.Position = l.rejected
		}
	}
	saved, err := l.device.snapshot(l.state)
	if err != nil {
		saved = l.device.kept
		*l.state = *saved
		l.report.Message("⚠️  The device cannot be read (%v); saving the state of epoch %d, position %d", err, saved.Epoch, saved.Position)
	}
	epoch := saved.Epoch + 1
	switch {
	case outcome != LimitReached:
		err = l.saver.emergency(saved, why, reason)
	case saved.Position > 0: // else the epoch was saved a moment ago
		if err = l.saver.put(saved, checkpoint.Last, reason); err != nil {
			err = l.saver.elsewhere(saved, checkpoint.Last, err)
		}
	}
	l.exp = l.saver.exp // it may have another name by now
	if err != nil {
		return "", errors.Join(fmt.Errorf("train: epoch %d: %w", epoch, cause), err)
	}
	const goOn = "cfg.ResumeFromCheckpoint = true, then Run All"
	switch outcome {
	case Interrupted:
		l.saySaved(fmt.Sprintf("⚠️  Training interrupted in epoch %d", epoch), "", goOn)
		return outcome, nil
	case LimitReached:
		l.saySaved(fmt.Sprintf("⏸️  Stopped in epoch %d: %v", epoch, cause), "", goOn)
		return outcome, nil
	case OutOfMemory:
		advice, smaller := l.device.memory.advice(cause, l.retry.atOnce())
		remedy := l.device.memory.remedy(smaller)
		l.saySaved(fmt.Sprintf("❌ OUT OF MEMORY in epoch %d with BatchSize %d", epoch, l.cfg.BatchSize), advice,
			remedy+" and cfg.ResumeFromCheckpoint = true, then run Configuration and Training Loop")
		return outcome, fmt.Errorf("train: %w with BatchSize %d in epoch %d: set %s and cfg.ResumeFromCheckpoint = true, then run \"2. Configuration\" and \"9. Training Loop\" again",
			ErrOutOfMemory, l.cfg.BatchSize, epoch, remedy)
	case Diverged:
		l.sayDiverged(cause)
		return outcome, fmt.Errorf("train: %w", cause)
	}
	return "", fmt.Errorf("train: epoch %d: %w; what was trained is saved as %s", epoch, cause, l.saver.file)
}

// saySaved tells what has ended the session, where it is saved and how to go on,
// set apart by lines as wide as the guide's.
func (l *loop) saySaved(what, advice, goOn string) {
	rule, kind := strings.Repeat("=", 80), "Emergency checkpoint"
	if filepath.Base(l.saver.file) == checkpoint.Last {
		kind = "Checkpoint"
	}
	lines := []string{"", rule, what + "; nothing is lost",
		"   💾 " + kind + ": " + l.short(l.saver.file), "   📊 History: " + l.short(l.exp.HistoryPath())}
	if advice != "" {
		lines = append(lines, "   📐 "+advice)
	}
	for _, line := range append(lines, "   ▶️  To go on: "+goOn, rule) {
		l.report.Message("%s", line)
	}
}

// sayDiverged tells how to go back: weights that a step too large has spoilt
// are numbers still, and no learning rate mends them.
func (l *loop) sayDiverged(cause error) {
	l.report.Message("")
	l.report.Message("❌ %v", cause)
	l.report.Message("   The state before is in %s", l.short(l.saver.file))
	l.report.Message("   ▶️  To go on: a lower cfg.LearningRate and cfg.ResumeFromCheckpoint = true, then Run All")
	entries, err := l.exp.Checkpoints().List()
	if err != nil {
		return
	}
	for _, e := range entries { // newest first
		if e.Err == nil && e.Position == 0 && 0 < e.Epoch && e.Epoch <= l.state.History.Len() && isFinite(l.state.History.ValLoss[e.Epoch-1]) {
			l.report.Message("   ↩️  If it stays so, the weights are spoilt: move the newer files out of %s, and the same goes on from %s, epoch %d",
				l.short(l.exp.CheckpointsDir()), e.Name(), e.Epoch)
			return
		}
	}
}

// short is a path as it is seen from the experiment's own folder's parent.
func (l *loop) short(path string) string {
	if rel, err := filepath.Rel(filepath.Dir(l.exp.Dir), path); err == nil {
		return rel
	}
	return path
}
