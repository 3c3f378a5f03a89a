// Package cell is what a program has to know as the cell of a notebook: where it
// prints and shows pictures, how it ends, what its kernel remembers for the cells below,
// and whether it was queued behind one that was interrupted.
//
// GoNB runs each cell as a program of its own. The same functions serve programs that
// are none: they print to the terminal, and what is to be remembered stays in memory.
package cell

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// RunDirVariable names an environment variable: a folder where a headless run
// is told what its cells print, in the file [LogName], and which experiment
// they use, in the file [ExperimentName].
const (
	RunDirVariable = "REKINDLE_RUN_DIR"
	LogName        = "log"
	ExperimentName = "experiment"
)

// Out is where cells print: the cell's own output and, in a headless run, the
// terminal that waits for it. The log comes first: when the kernel is gone,
// writing to standard output fails, and the log still gets the last words.
var Out io.Writer = io.MultiWriter(&runLog, os.Stdout)

// runLog is the log of a headless run. Each process holds a shared lock on it,
// so that the run can wait for a cell that is still saving.
var runLog logFile

type logFile struct {
	open sync.Once
	file *os.File
}

// Write never fails: a lost log must not stop training.
func (l *logFile) Write(p []byte) (int, error) {
	if f := l.get(); f != nil {
		_, _ = f.Write(p)
	}
	return len(p), nil
}

func (l *logFile) get() *os.File {
	l.open.Do(func() {
		dir := os.Getenv(RunDirVariable)
		if dir == "" {
			return
		}
		f, err := os.OpenFile(filepath.Join(dir, LogName), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return
		}
		_ = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
		fmt.Fprintln(f) // a line between cells
		l.file = f
	})
	return l.file
}

// ErrNothing is wrapped by errors that say that there is nothing to show yet: a
// sentence for people, but no failure, so that Run All goes on.
var ErrNothing = errors.New("nothing to show yet")

// Check ends the cell with err's sentence on standard error and exit status 1,
// or on standard output and exit status 0 where it wraps [ErrNothing]. It does
// nothing when err is nil.
func Check(err error) {
	if err == nil {
		return
	}
	if errors.Is(err, ErrNothing) {
		Say("ℹ️  %v", err)
		Flush()
		os.Exit(0)
	}
	text := "❌ " + strings.ReplaceAll(err.Error(), "\n", "\n❌ ") + "\n"
	fmt.Fprint(os.Stderr, text)
	fmt.Fprint(&runLog, text)
	Flush()
	os.Exit(1)
}

// Rule is the line that sets a message apart, as wide as the guide's.
var Rule = strings.Repeat("=", 80)

// Short shows a path as seen from the clone, where it lies in it, so that what
// cells print is the same on every machine.
func Short(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	return Relative(dir, path)
}

// Relative shows a path as seen from a folder, where it lies in it.
func Relative(dir, path string) string {
	rel, err := filepath.Rel(dir, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return path
	}
	return rel
}

// Say prints a line.
func Say(format string, args ...any) { fmt.Fprintf(Out, format+"\n", args...) }

// Warn prints a line with a sign before it.
func Warn(text string) { Say("⚠️  %s", text) }

// LiveVariable names an environment variable that is set where the log of a
// headless run is copied to a terminal.
const LiveVariable = "REKINDLE_LIVE"

// Log returns the log of a headless run, nil where there is none.
func Log() io.Writer {
	if runLog.get() == nil {
		return nil
	}
	return &runLog
}
