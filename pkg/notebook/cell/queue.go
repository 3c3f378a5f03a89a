package cell

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"rekindle/pkg/durable"
)

// Whoever presses Jupyter's stop button during Run All wants an end to it, but GoNB
// interrupts only the cell that runs: those queued behind it follow. Light ones show
// what there is. Heavy ones ask [PassedOver], which has to tell a cell that was queued
// from one that a person runs.
//
// The kernel does not say when a cell was asked for, but it starts the next one of a
// queue within moments of the end of the one before it, and a person is slower. So the
// interrupted cell leaves a mark in the kernel's folder, and touches it until it ends.
// A cell that began soon after that touch is taken for one of the queue and touches the
// mark in its turn; any other one removes it. When a cell began is the time of main.go,
// which GoNB writes before it compiles, so slow builds do not matter. Should a person be
// quick all the same, the cell says so in its one line, and runs when it is run again:
// each is passed over once.

// soon is how long after the end of a cell the next one of a queue begins at most.
const soon = 5 * time.Second

// interruption is what the mark holds.
type interruption struct {
	Passed []string `json:"passed"` // cells that have said their line
}

func interruptionPath() string { return inKernel("rekindle_interrupted.json") }

// cellBegan is when the kernel began with this cell.
func cellBegan() (time.Time, bool) {
	info, err := os.Stat(filepath.Join(os.Getenv("GONB_TMP_DIR"), "main.go"))
	if err != nil {
		return time.Time{}, false
	}
	return info.ModTime(), true
}

var (
	queueOnce sync.Once
	inQueue   bool
)

// Follows reports whether this cell was queued behind one that was interrupted.
func Follows() bool {
	queueOnce.Do(func() {
		path := interruptionPath()
		info, err := os.Stat(path)
		if path == "" || err != nil {
			return
		}
		began, known := cellBegan()
		if inQueue = known && began.Sub(info.ModTime()) < soon; !inQueue {
			_ = os.Remove(path)
			return
		}
		go touch(path)
	})
	return inQueue
}

// touch renews the mark for as long as this program lives.
func touch(path string) {
	for ; ; time.Sleep(100 * time.Millisecond) {
		now := time.Now()
		if os.Chtimes(path, now, now) != nil {
			return // somebody has begun anew
		}
	}
}

// Interrupted says that this cell was interrupted by a person, so that heavy cells
// queued behind it are passed over.
func Interrupted() {
	path := interruptionPath()
	if path == "" || os.WriteFile(path, []byte("{}"), 0o666) != nil {
		return // heavy cells run, as they would have
	}
	go touch(path)
}

// BeginAnew forgets an interruption: what is run from here on is meant.
func BeginAnew() {
	queueOnce.Do(func() {})
	inQueue = false
	if path := interruptionPath(); path != "" {
		_ = os.Remove(path)
	}
}

// PassedOver reports whether a heavy cell, such as "evaluation", was queued behind
// an interrupted training, and says in one line how to run it: doing is what it would do.
func PassedOver(cell, doing string) bool {
	if !Follows() {
		return false
	}
	var i interruption
	path := interruptionPath()
	if durable.ReadJSON(path, &i) != nil || slices.Contains(i.Passed, cell) {
		return false
	}
	i.Passed = append(i.Passed, cell)
	if durable.WriteJSON(path, i) != nil {
		return false
	}
	Say("⏭️  Training was interrupted, so %s is passed over; run this cell by itself to do it", doing)
	Flush()
	return true
}
