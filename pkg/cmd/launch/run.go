package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rekindle/pkg/durable"
	"rekindle/pkg/interrupt"
	"rekindle/pkg/machine"
	"rekindle/pkg/notebook"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/setup"
	"rekindle/pkg/tree"
)

// saving is how long a cell may take to save after an interruption. GoNB kills
// it after 5 s; a cell whose kernel is gone may take a little longer.
const saving = 15 * time.Second

// run executes all cells of a notebook without a browser, shows on the terminal
// what they print, and says where the results are.
func run(ctx context.Context, s *setup.Clone, file string) error {
	began := time.Now()
	dir, remove, err := durable.Scratch(filepath.Join(s.Dir, "build"), "run")
	if err != nil {
		return err
	}
	defer remove()
	printed, err := os.Create(filepath.Join(dir, cell.LogName))
	if err != nil {
		return err
	}
	defer printed.Close()
	out := filepath.Join(s.Dir, "build", "notebooks")
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	executed := filepath.Join(out, outputName(file, os.Getenv(notebook.ConfigVariable)))

	var messages bytes.Buffer
	cmd := execution(s, file, executed)
	cmd.Dir = s.Dir
	cmd.Env = append(cmd.Env, cell.RunDirVariable+"="+dir)
	if machine.IsTerminal(os.Stdout) {
		cmd.Env = append(cmd.Env, cell.LiveVariable+"=1")
	}
	cmd.Stdout, cmd.Stderr = &messages, &messages

	fmt.Printf("▶️  Running all cells of %s\n\n", file)
	tail := follow(printed.Name(), os.Stdout)
	interrupted, err := untilDone(ctx, cmd)
	waitForCells(printed)
	tail.stop()
	said, _ := os.ReadFile(printed.Name())
	log := strings.TrimSuffix(executed, ".ipynb") + ".log"
	if e := os.WriteFile(log, messages.Bytes(), 0o666); e != nil && err == nil {
		err = e
	}

	fmt.Println()
	switch {
	case interrupted:
		fmt.Println("⚠️  Interrupted. What was trained is saved; to go on, run the same with")
		fmt.Printf("      %s='%s'\n", notebook.ConfigVariable, resuming(os.Getenv(notebook.ConfigVariable)))
	case err != nil:
		if !bytes.Contains(said, []byte("❌")) { // the cells themselves have not said what is wrong
			fmt.Fprintln(os.Stderr, setup.LastLines(messages.String()+filepath.Base(s.Jupyter)+" nbconvert: "+err.Error(), 40))
		}
		fmt.Fprintf(os.Stderr, "❌ The notebook stopped at an error; all messages are in %s\n", s.Relative(log))
	default:
		fmt.Printf("✅ Done in %s\n", time.Since(began).Round(time.Second))
		fmt.Printf("   Notebook with all outputs: %s\n", s.Relative(executed))
	}
	if exp, e := os.ReadFile(filepath.Join(dir, cell.ExperimentName)); e == nil {
		fmt.Printf("   Experiment:                %s\n", s.Relative(string(exp)))
	}
	switch {
	case interrupted:
		return exitStatus(130) // as a shell says for Ctrl+C
	case err != nil:
		return exitStatus(1)
	}
	return nil
}

// outputName is what the executed copy of a notebook is called. Runs beside each
// other are told apart by the experiment's name, where the overrides give one.
func outputName(file, overrides string) string {
	var keys struct {
		Name string `json:"experiment_name"`
	}
	_ = json.Unmarshal([]byte(overrides), &keys) // what is no JSON is reported by the configuration cell
	name := strings.TrimSuffix(filepath.Base(file), ".ipynb")
	if keys.Name != "" && keys.Name == filepath.Base(keys.Name) {
		name += "." + keys.Name
	}
	return durable.Shortened(name, len(".ipynb")) + ".ipynb"
}

// execution is the program that runs all cells of a notebook in a kernel and
// writes it with its outputs to another file.
func execution(s *setup.Clone, file, executed string) *exec.Cmd {
	cmd := exec.Command(s.Jupyter, "nbconvert", "--to", "notebook", "--execute",
		"--ExecutePreprocessor.timeout=-1", "--ExecutePreprocessor.startup_timeout=180",
		"--output-dir", filepath.Dir(executed), "--output="+filepath.Base(executed), asPattern(file))
	cmd.Env = s.Environ()
	return cmd
}

// asPattern is the path of a notebook as nbconvert takes it: it reads brackets as a
// pattern of names, and a dash at the start as an option.
func asPattern(file string) string {
	if abs, err := filepath.Abs(file); err == nil {
		file = abs
	}
	return strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]").Replace(file)
}

// resuming adds to overrides of the configuration that training goes on.
func resuming(overrides string) string {
	keys := map[string]any{}
	_ = json.Unmarshal([]byte(overrides), &keys) // what is no JSON has not got as far as training
	keys["resume_from_checkpoint"] = true
	text, err := json.Marshal(keys)
	if err != nil {
		return `{"resume_from_checkpoint": true}`
	}
	return string(text)
}

// compile builds what cells import, so that the wait for it has a name.
func compile(ctx context.Context, s *setup.Clone) error {
	said := time.AfterFunc(2*time.Second, func() { fmt.Println("🔧 Compiling; the first time this takes a minute or two") })
	defer said.Stop()
	return s.Logged(ctx, nil, "go", "build", "./pkg/notebook/...")
}

// untilDone runs a program in a process group of its own. What would stop this
// program interrupts that one instead, and is waited for. Where that one is killed, the
// kernel that it has started is ended; it would wait for ever.
func untilDone(ctx context.Context, cmd *exec.Cmd) (interrupted bool, err error) {
	adopt()
	cmd.WaitDelay = time.Second // the kernel holds the other end of its output, too
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, interrupt.Signals()...)
	defer signal.Stop(signals)
	if ctx.Err() != nil { // before the line above
		return true, ctx.Err()
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			endOrphans(cmd.ProcessState)
			return interrupted, err
		case <-signals:
			if !interrupted {
				fmt.Println("\n⚠️  Stopping; training saves its state")
			}
			interrupted = true
			_ = cmd.Process.Signal(os.Interrupt) // it may have ended just now
		}
	}
}

// adopt makes what has lost its parent a child of this program.
func adopt() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// endOrphans asks the kernels of a program that was killed to end, and they their cells.
func endOrphans(killed *os.ProcessState) {
	if status, ok := killed.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		return
	}
	for _, thread := range tree.Glob("/proc/self/task", "*") {
		pids, _ := os.ReadFile(filepath.Join(thread, "children"))
		for _, word := range strings.Fields(string(pids)) {
			if pid, err := strconv.Atoi(word); err == nil {
				_ = syscall.Kill(pid, syscall.SIGTERM)
			}
		}
	}
}

// passSignals runs a program that handles Ctrl+C itself, and stays until it ends; any
// other signal, and one that comes from no terminal, ends it. It calls started when the
// program is.
func passSignals(ctx context.Context, cmd *exec.Cmd, started func()) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, interrupt.Signals()...)
	defer signal.Stop(signals)
	if ctx.Err() != nil { // before the line above
		return ctx.Err()
	}
	adopt()
	if err := cmd.Start(); err != nil {
		return err
	}
	started()
	go func() {
		for sig := range signals {
			if sig != os.Interrupt || !machine.IsTerminal(os.Stdin) { // Ctrl+C reaches the program by itself
				_ = cmd.Process.Signal(syscall.SIGTERM)
			}
		}
	}()
	err := cmd.Wait()
	endOrphans(cmd.ProcessState)
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return exitStatus(max(1, ended.ExitCode()))
	}
	return err
}

// waitForCells waits until no cell runs any more: each holds a shared lock on
// the log.
func waitForCells(log *os.File) {
	deadline := time.Now().Add(saving)
	for time.Now().Before(deadline) {
		if unix.Flock(int(log.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// follower copies what is appended to a file.
type follower struct{ stopping, stopped chan struct{} }

func follow(path string, to io.Writer) *follower {
	f := &follower{make(chan struct{}), make(chan struct{})}
	go func() {
		defer close(f.stopped)
		file, err := os.Open(path)
		if err != nil {
			return
		}
		defer file.Close()
		for running := true; running; {
			select {
			case <-f.stopping:
				running = false
			case <-time.After(100 * time.Millisecond):
			}
			_, _ = io.Copy(to, file) // the terminal may be gone; the run goes on
		}
	}()
	return f
}

// stop copies the rest.
func (f *follower) stop() {
	close(f.stopping)
	<-f.stopped
}
