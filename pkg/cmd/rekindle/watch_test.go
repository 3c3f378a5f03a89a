package main

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
	"rekindle/pkg/watch"
)

// training makes an experiment that this process seems to train.
func training(t *testing.T) (exp *experiment.Experiment, root string, lock *experiment.Lock) {
	t.Helper()
	cfg := config.Preset("go")
	cfg.ExperimentsDir = t.TempDir()
	exp, err := experiment.Create(cfg, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if lock, err = exp.Lock(); err != nil {
		t.Fatal(err)
	}
	step(t, exp, 1)
	return exp, cfg.ExperimentsDir, lock
}

// step is what a run writes in the middle of an epoch, after those before it.
func step(t *testing.T, exp *experiment.Experiment, epoch int) {
	t.Helper()
	h := &history.History{}
	for i := range epoch - 1 {
		h.Append(history.Epoch{TrainLoss: 0.5, ValLoss: 0.5 - 0.1*float64(i), ValPSNR: math.NaN(), LR: 1e-3})
	}
	if err := h.Save(exp.HistoryPath()); err != nil {
		t.Fatal(err)
	}
	p := experiment.Progress{Owner: experiment.Myself(), Updated: time.Now(), FromEpoch: 1, Epoch: epoch, NumEpochs: 7, Batch: 5, Batches: 10, Loss: 0.4}
	if err := exp.SaveProgress(p); err != nil {
		t.Fatal(err)
	}
}

// ends is what a run does at its end.
func ends(t *testing.T, exp *experiment.Experiment, lock *experiment.Lock, status string) {
	t.Helper()
	if err := exp.SaveStats(experiment.Stats{Status: status, Sessions: []experiment.Session{{Ended: time.Now()}}}); err != nil {
		t.Fatal(err)
	}
	if err := exp.RemoveProgress(); err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
}

// log is a writer that others may read meanwhile.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *log) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

func (l *log) waitFor(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(l.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never says %q:\n%s", text, l)
		}
	}
}

func TestWithoutATerminalAWatchedRunIsALineForEachEpoch(t *testing.T) {
	defer func(old time.Duration) { lookEvery = old }(lookEvery)
	lookEvery = 5 * time.Millisecond
	for status, want := range map[string]int{"completed": 0, "out_of_memory": 1} {
		exp, root, lock := training(t)
		var out, messages log
		ended := make(chan int)
		go func() {
			ended <- run(context.Background(), []string{"watch", "-dir", root}, streams{&out, &messages})
		}()
		out.waitFor(t, "epoch 1 of 7, batch 5 of 10, 7 %")
		step(t, exp, 2)
		out.waitFor(t, "val_loss 0.5000") // the file of the place may come a moment later
		ends(t, exp, lock, status)
		if got := <-ended; got != want {
			t.Errorf("%s: exit status %d, want %d\n%s", status, got, want, messages.String())
		}
		if got := out.String(); !strings.Contains(got, "is over: "+strings.ReplaceAll(status, "_", " ")) || strings.Contains(got, "starting") || strings.Count(got, "\n") != 4 {
			t.Errorf("%s: printed\n%s", status, got)
		}
	}
}

func TestWatchingEndsWithCtrlC(t *testing.T) {
	_, root, _ := training(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if status, _, messages := call(ctx, "watch", "-dir", root); status != 130 {
		t.Errorf("exit status %d\n%s", status, messages)
	}
}

func TestWhatCannotBeReadIsSaidOnceWhileWatching(t *testing.T) {
	exp, root, lock := training(t)
	if err := os.WriteFile(exp.ConfigPath(), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	ends(t, exp, lock, "completed")
	_, out, _ := call(context.Background(), "watch", "-dir", root, "-experiment", exp.Name())
	if strings.Count(out, "⚠️  "+exp.ConfigPath()) != 1 {
		t.Errorf("printed\n%s", out)
	}
}

func TestTheScreenFollowsTheRunUntilItIsOver(t *testing.T) {
	exp, _, lock := training(t)
	s := screen{view: watch.Look(exp, nil), columns: 80}
	if s.Init() == nil || !strings.Contains(s.View(), "epoch 1 of 7, batch 5 of 10") || !strings.Contains(s.View(), "q ends the view") {
		t.Fatalf("at first:\n%s", s.View())
	}
	step(t, exp, 3)
	next, more := s.Update(look{})
	if s = next.(screen); more == nil || !strings.Contains(s.View(), "epoch 3 of 7") || !strings.Contains(s.View(), "val loss       0.5000 → 0.4000      █▁") {
		t.Fatalf("later:\n%s", s.View())
	}
	if next, quit := s.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("q")}); quit == nil || !strings.Contains(next.View(), "training goes on") {
		t.Errorf("after q:\n%s", next.View())
	}
	ends(t, exp, lock, "completed")
	next, quit := s.Update(look{})
	if _, isQuit := quit().(tea.QuitMsg); !isQuit || !strings.Contains(next.View(), "is over: completed") || strings.Contains(next.View(), "q ends") {
		t.Errorf("at the end:\n%s", next.View())
	}
}

func TestWatchingARunThatIsNotThere(t *testing.T) {
	for args, words := range map[string]string{
		"watch -dir EMPTY": "train one first", "watch -dir EMPTY -experiment 20990101_000000_none": "no such experiment", "watch EMPTY": "what is",
	} {
		args = strings.ReplaceAll(args, "EMPTY", t.TempDir())
		if status, _, messages := call(context.Background(), strings.Fields(args)...); status != 1 || !strings.Contains(messages, words) {
			t.Errorf("%s: status %d, want 1 and %q:\n%s", args, status, words, messages)
		}
	}
	if _, err := os.Stat(filepath.Join(config.Default().ExperimentsDir)); err == nil {
		t.Error("watching makes a folder")
	}
}
