package scenarios

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
)

// works checks that every cell ended well and without a word on standard error.
func (n *notebook) works(all outputs) {
	n.t.Helper()
	for _, o := range all {
		if !o.OK || strings.TrimSpace(o.Stderr) != "" {
			n.t.Errorf("the cell %s failed:\n%s%s", o.Cell, o.Stdout, o.Stderr)
		}
	}
}

// fails checks that a cell ended with a sentence that says all parts, and not
// with a stack trace.
func (n *notebook) fails(o output, parts ...string) {
	n.t.Helper()
	if o.OK {
		n.t.Errorf("the cell %s ended well, want an error that says %q; it said:\n%s", o.Cell, parts, o.Stdout)
	}
	if !strings.Contains(o.Stderr, "❌") || strings.Contains(o.Stderr, "goroutine ") || strings.Contains(o.Stderr, "undefined:") {
		n.t.Errorf("the cell %s shows no sentence for people:\n%s", o.Cell, o.Stderr)
	}
	n.says(o, parts...)
}

// says checks that an output contains all parts.
func (n *notebook) says(o output, parts ...string) {
	n.t.Helper()
	for _, part := range parts {
		if !strings.Contains(o.said(), part) {
			n.t.Errorf("the cell %s does not say %q:\n%s", o.Cell, part, o.said())
		}
	}
}

// history reads an experiment's history and checks its number of epochs.
func (n *notebook) history(exp *experiment.Experiment, epochs int) *history.History {
	n.t.Helper()
	h, err := history.Load(exp.HistoryPath())
	must(n.t, err)
	if h.Len() != epochs {
		n.t.Fatalf("the history has %d epochs, want %d", h.Len(), epochs)
	}
	return h
}

// continues checks that a history begins with an earlier one, unchanged.
func (n *notebook) continues(now, earlier *history.History) {
	n.t.Helper()
	begin := now.Clone()
	begin.Resize(earlier.Len())
	a, err := json.Marshal(begin)
	must(n.t, err)
	b, err := json.Marshal(earlier)
	must(n.t, err)
	if string(a) != string(b) {
		n.t.Errorf("the first %d epochs of the history were changed:\n%s\n%s", earlier.Len(), b, a)
	}
}

// hasNoBest checks that nothing is called the best of an experiment that was never
// validated.
func (n *notebook) hasNoBest(exp *experiment.Experiment, all outputs) {
	n.t.Helper()
	if _, err := os.Stat(exp.Checkpoints().Path(checkpoint.Best)); err == nil {
		n.t.Error("there is a best_model.pth although no epoch was validated")
	}
	for _, o := range all {
		for _, word := range []string{"★", "best so far", "best: epoch", "Best epoch: 1", "best model from"} {
			if strings.Contains(o.said(), word) {
				n.t.Errorf("the cell %s speaks of %q although no epoch was validated:\n%s", o.Cell, word, o.said())
			}
		}
	}
}

// has checks that an experiment's folder contains files that are not empty.
func (n *notebook) has(exp *experiment.Experiment, files ...string) {
	n.t.Helper()
	for _, f := range files {
		if info, err := os.Stat(filepath.Join(exp.Dir, f)); err != nil || !info.IsDir() && info.Size() == 0 {
			n.t.Errorf("%s lacks %s (%v)", exp.Name(), f, err)
		}
	}
}

// status checks how the last session of training ended.
func (n *notebook) status(exp *experiment.Experiment, want string) {
	n.t.Helper()
	stats, err := exp.LoadStats()
	must(n.t, err)
	if stats.Status != want {
		n.t.Errorf("experiment_stats.json says %q, want %q", stats.Status, want)
	}
}

// newest returns the checkpoint that a resume would take.
func (n *notebook) newest(exp *experiment.Experiment) checkpoint.Entry {
	n.t.Helper()
	entries, err := exp.Checkpoints().List()
	must(n.t, err)
	if len(entries) == 0 || entries[0].Err != nil {
		n.t.Fatalf("%s has no readable checkpoint", exp.Name())
	}
	return entries[0]
}

// waitForFile waits until a file or folder exists.
func (n *notebook) waitForFile(path string) {
	n.t.Helper()
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
	}
	n.t.Fatalf("there is still no %s", path)
}

// contents returns all files below a folder with their sizes and times, to see
// whether anything was changed.
func (n *notebook) contents(dir string) string {
	n.t.Helper()
	var b strings.Builder
	must(n.t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			fmt.Fprintln(&b, path, info.Size(), info.ModTime())
		}
		return err
	}))
	return b.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
