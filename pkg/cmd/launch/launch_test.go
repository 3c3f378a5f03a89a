package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/internal/standin"
	"rekindle/pkg/setup"
)

func clone(t *testing.T) *setup.Clone { return &setup.Clone{Dir: standin.Clone(t)} }

// jupyter is a program that stands in for Jupyter; cells print into the log.
func jupyter(t *testing.T, s *setup.Clone, script string) {
	t.Helper()
	s.Jupyter = filepath.Join(s.Dir, "jupyter")
	standin.Write(t, s.Jupyter, "#!/bin/bash\n"+script, 0o777)
}

func TestARunShowsWhatCellsPrintAndSaysWhereTheResultsAre(t *testing.T) {
	s := clone(t)
	jupyter(t, s, `echo "epoch 1" >> $REKINDLE_RUN_DIR/log; echo -n "$PWD/experiments/unet/gaussian/x" > $REKINDLE_RUN_DIR/experiment
touch build/notebooks/n.ipynb`)
	var err error
	text := standin.Printed(t, func() { err = run(t.Context(), s, "n.ipynb") })
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"epoch 1\n", "build/notebooks/n.ipynb", "experiments/unet/gaussian/x"} {
		if !strings.Contains(text, part) {
			t.Errorf("got %q, want it to say %q", text, part)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir, "build", "run-*")); len(left) > 0 {
		t.Errorf("the run left %v behind", left)
	}
}

func TestAFailedCellIsNotBuriedUnderATraceback(t *testing.T) {
	s := clone(t)
	jupyter(t, s, `echo "❌ config: BatchSize is 0" >> $REKINDLE_RUN_DIR/log; echo "Traceback (most recent call last)" >&2; exit 1`)
	var err error
	text := standin.Printed(t, func() { err = run(t.Context(), s, "n.ipynb") })
	if !errors.Is(err, exitStatus(1)) {
		t.Errorf("got %v, want exit status 1", err)
	}
	if !strings.Contains(text, "BatchSize is 0") || strings.Contains(text, "Traceback") {
		t.Errorf("got %q, want the cell's sentence alone", text)
	}
}

func TestACellThatDoesNotCompileShowsTheMessages(t *testing.T) {
	s := clone(t)
	jupyter(t, s, `echo "undefined: cfgg" >&2; exit 1`)
	var err error
	text := standin.Printed(t, func() { err = run(t.Context(), s, "n.ipynb") })
	if err == nil || !strings.Contains(text, "undefined: cfgg") {
		t.Errorf("got %v and %q, want the compiler's message", err, text)
	}
}

func TestAnInterruptedRunWaitsForTheCellThatSaves(t *testing.T) {
	s := clone(t)
	t.Setenv("REKINDLE_CONFIG", `{"num_epochs": 50}`)
	// The kernel goes at once; the cell, which holds the log, saves for another second.
	jupyter(t, s, `(trap '' INT; exec 9>>$REKINDLE_RUN_DIR/log; flock -s 9; sleep 1.5; echo "saved" >&9) &
trap 'exit 1' INT; echo started >> $REKINDLE_RUN_DIR/log; while true; do sleep 0.1; done`)
	go func() {
		time.Sleep(700 * time.Millisecond)
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	}()
	var err error
	text := standin.Printed(t, func() { err = run(t.Context(), s, "n.ipynb") })
	if !errors.Is(err, exitStatus(130)) {
		t.Errorf("got %v, want exit status 130", err)
	}
	if !strings.Contains(text, "saved") || !strings.Contains(text, `REKINDLE_CONFIG='{"num_epochs":50,"resume_from_checkpoint":true}'`) {
		t.Errorf("got %q, want what the cell said last and how to go on", text)
	}
}

// Memory runs out, say, and the kernel of the process that it costs goes on.
func TestARunEndsWithWhatRunsTheCells(t *testing.T) {
	s := clone(t)
	jupyter(t, s, `(trap 'echo "saved" >> $REKINDLE_RUN_DIR/log; exit' TERM; while true; do sleep 0.1; done) &
sleep 0.5; kill -KILL $$`)
	began := time.Now()
	var err error
	text := standin.Printed(t, func() { err = run(t.Context(), s, "n.ipynb") })
	if took := time.Since(began); !errors.Is(err, exitStatus(1)) || took > saving {
		t.Errorf("got %v after %v, want exit status 1 soon", err, took)
	}
	if !strings.Contains(text, "nbconvert: signal: killed") {
		t.Errorf("got %q, want it to say what was killed", text)
	}
	if lists, _ := os.ReadFile("/proc/self/task/" + strconv.Itoa(os.Getpid()) + "/children"); len(lists) > 0 {
		time.Sleep(time.Second)
		for _, pid := range strings.Fields(string(lists)) {
			if state, _ := os.ReadFile("/proc/" + pid + "/stat"); len(state) > 0 && !strings.Contains(string(state), ") Z ") {
				t.Errorf("what it has started goes on: %s", state)
			}
		}
	}
}

func TestRunsOfDifferentNamesKeepTheirNotebooksApart(t *testing.T) {
	for overrides, want := range map[string]string{
		``:                               "unet.ipynb",
		`{"num_epochs": 2}`:              "unet.ipynb",
		`{"experiment_name": "seed_7"}`:  "unet.seed_7.ipynb",
		`{"experiment_name": "../away"}`: "unet.ipynb",
		`no JSON`:                        "unet.ipynb",
	} {
		if got := outputName("notebooks/unet.ipynb", overrides); got != want {
			t.Errorf("%s: got %s, want %s", overrides, got, want)
		}
	}
}

func TestWrongCallsAreRefused(t *testing.T) {
	s := clone(t)
	t.Chdir(s.Dir)
	for _, args := range [][]string{{}, {"run"}, {"fly"}, {"run", "a", "b"}, {"setup", "n.ipynb"}} {
		if err := launch(s.Dir, args); !errors.Is(err, errUsage) {
			t.Errorf("%q: got %v, want how to call it", args, err)
		}
	}
	if err := launch(s.Dir, []string{"run", "missing.ipynb"}); err == nil || !strings.Contains(err.Error(), "missing.ipynb") {
		t.Errorf("a notebook that does not exist: got %v", err)
	}
	if err := launch(t.TempDir(), []string{"setup"}); err == nil || !strings.Contains(err.Error(), "clone") {
		t.Errorf("outside a clone: got %v", err)
	}
}

func TestAFollowerCopiesToTheLastByte(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	standin.Write(t, path, "a", 0o666)
	var out bytes.Buffer
	f := follow(path, &out)
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("b"); err != nil {
		t.Fatal(err)
	}
	file.Close()
	f.stop()
	if out.String() != "ab" {
		t.Errorf("got %q, want %q", out.String(), "ab")
	}
}

func TestNotebooksMayHaveAnyName(t *testing.T) {
	s := clone(t)
	s.Jupyter = filepath.Join(s.Dir, "jupyter")
	t.Chdir(s.Dir)
	for _, file := range []string{"my notebook [1].ipynb", "-x.ipynb", "a*b?.ipynb"} {
		args := execution(s, file, filepath.Join(s.Dir, "build", "notebooks", file)).Args
		last := args[len(args)-1]
		if found, err := filepath.Glob(strings.ReplaceAll(last, "[[]", "\\[")); strings.HasPrefix(last, "-") || err != nil || len(found) > 0 {
			t.Errorf("%s: %q, %v", file, last, err)
		}
		standin.Write(t, filepath.Join(s.Dir, file), "{}", 0o666)
		if found, err := filepath.Glob(last); err != nil || len(found) != 1 || filepath.Base(found[0]) != file {
			t.Errorf("%s is found as %q (%v)", file, found, err)
		}
	}
	if name := outputName(strings.Repeat("n", 200)+".ipynb", `{"experiment_name": "`+strings.Repeat("e", 150)+`"}`); len(name) > 255 || !strings.HasSuffix(name, ".ipynb") {
		t.Errorf("the executed notebook's name has %d bytes", len(name))
	}
}
