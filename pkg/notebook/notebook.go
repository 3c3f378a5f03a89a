// Package notebook is what the cells of a notebook call: one function for each
// section that neither trains nor infers, and the glue to GoNB for those that do
// (their functions are in package notebook/compute).
//
//	%%
//	notebook.Configure(func(cfg *config.Config) { cfg.BatchSize = 4 })
//	%%
//	notebook.SetUp(notebook.Settings(), notebook.SkipsTraining())
//	%%
//	notebook.PlotCurves(notebook.Settings())
//
// GoNB runs every cell as a program of its own, so nothing stays in memory from
// one cell to the next. The settings of [Configure] and the experiment that [SetUp]
// chose are remembered in the kernel's own folder, and everything else is read from
// the experiment's folder. A new kernel starts with neither, and a cell that needs
// them says which cell to run first.
//
// What goes wrong is shown as one sentence that says what to do, and ends the
// cell with exit status 1. No function here needs the engine that computes, so
// a cell that only looks at results starts in well under a second.
//
// Folders in a configuration are relative to the clone, wherever in it the
// notebook lies.
package notebook

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

// exit is os.Exit, except in tests.
var exit = os.Exit

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
		say("ℹ️  %v", err)
		flush()
		exit(0)
		return
	}
	text := "❌ " + strings.ReplaceAll(err.Error(), "\n", "\n❌ ") + "\n"
	fmt.Fprint(os.Stderr, text)
	fmt.Fprint(&runLog, text)
	flush()
	exit(1)
}

// rule is the line that sets a message apart, as wide as the guide's.
var rule = strings.Repeat("=", 80)

// Short shows a path as seen from the clone, where it lies in it, so that what
// cells print is the same on every machine.
func Short(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(dir, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return path
	}
	return rel
}

func say(format string, args ...any) { fmt.Fprintf(Out, format+"\n", args...) }
