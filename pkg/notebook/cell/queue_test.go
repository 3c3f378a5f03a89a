package cell

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// nextCell makes this process look like the next cell's, which the kernel began a
// while after the end of the one before it.
func nextCell(t *testing.T, dir string, after time.Duration) {
	t.Helper()
	queueOnce, inQueue = sync.Once{}, false
	main := filepath.Join(dir, "main.go")
	if err := os.WriteFile(main, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	ended := time.Now()
	if info, err := os.Stat(filepath.Join(dir, "rekindle_interrupted.json")); err == nil {
		ended = info.ModTime()
	}
	if err := os.Chtimes(main, ended.Add(after), ended.Add(after)); err != nil {
		t.Fatal(err)
	}
}

// interruptedIn leaves the mark of a cell that was interrupted and ended just now,
// without the goroutine that touches it while the cell lives.
func interruptedIn(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "rekindle_interrupted.json"), []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyCellsThatWereQueuedArePassedOver(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GONB_TMP_DIR", dir)
	var said bytes.Buffer
	before := Out
	Out = &said
	defer func() { Out = before }()
	defer BeginAnew()

	if nextCell(t, dir, 0); PassedOver("evaluation", "evaluation") {
		t.Error("passed over although nothing was interrupted")
	}
	interruptedIn(t, dir)
	for _, cell := range []string{"evaluation", "samples"} { // one after the other
		if nextCell(t, dir, 300*time.Millisecond); !PassedOver(cell, "the "+cell) {
			t.Errorf("the queued cell %s ran", cell)
		}
		if got := said.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "so the "+cell+" is passed over; run this cell by itself") {
			t.Errorf("said %q", got)
		}
		said.Reset()
	}
	if nextCell(t, dir, time.Second); PassedOver("evaluation", "evaluation") {
		t.Error("a cell that was passed over is passed over again: a quick person cannot run it")
	}
	BeginAnew()

	interruptedIn(t, dir)
	if nextCell(t, dir, soon+time.Second); PassedOver("evaluation", "evaluation") {
		t.Error("a cell that a person ran later was passed over")
	}
	if nextCell(t, dir, 0); PassedOver("samples", "samples") {
		t.Error("a cell that was queued behind one which a person ran was passed over")
	}

	interruptedIn(t, dir)
	nextCell(t, dir, 0)
	BeginAnew() // training again
	if nextCell(t, dir, 0); PassedOver("evaluation", "evaluation") {
		t.Error("passed over although training went on since")
	}
}

func TestALongLightCellDoesNotBreakTheQueue(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GONB_TMP_DIR", dir)
	defer BeginAnew()
	interruptedIn(t, dir)
	mark := filepath.Join(dir, "rekindle_interrupted.json")
	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(mark, old, old); err != nil {
		t.Fatal(err)
	}
	if nextCell(t, dir, time.Second); !Follows() { // it began a minute ago and has drawn until now
		t.Fatal("the light cell does not count as queued")
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if info, err := os.Stat(mark); err == nil && time.Since(info.ModTime()) < soon {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the mark was not touched while the light cell lived")
		}
	}
}
