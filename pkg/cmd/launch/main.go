// Command launch gets a machine ready for Rekindle's notebooks and opens or runs
// them. The Makefile calls it; there is seldom a reason to do so by hand.
//
//	launch setup               find or install Jupyter, build GoNB, install XLA and the kernel
//	launch run NOTEBOOK        the same, then run all cells without a browser
//	launch lab [NOTEBOOK] [ARGUMENT ...]  the same, then open Jupyter in the browser; it gets the arguments
//	launch jupyter             install JupyterLab, Notebook 7 and papermill into .venv, whatever else there is
//	launch kernel              set up, and put the kernel where every front end finds it
//	launch unkernel            take it away from there
//	launch gopls               set up, and build what completes code and shows help
//	launch data                download the photographs of DIV2K
//	launch sync                spread the main notebook's cells to all training notebooks
//	launch filter NOTEBOOK     what git is to see of a notebook on standard input; git calls it
//	launch settle PID          have git note the size of notebooks that are only run, while a kernel lives; it calls it
//	launch refresh [NOTEBOOK]  the same, then run every notebook, or that one, and store its outputs
//
// What set-up installs, and where, package setup says.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"rekindle/pkg/interrupt"
	"rekindle/pkg/setup"
)

func main() {
	clone, err := os.Getwd()
	if err == nil {
		err = launch(clone, os.Args[1:])
	}
	var ended exitStatus
	switch {
	case errors.As(err, &ended): // what happened has been said
		os.Exit(int(ended))
	case err != nil:
		fmt.Fprintln(os.Stderr, "❌ "+err.Error())
		os.Exit(1)
	}
}

// exitStatus ends the program without another word.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

var errUsage = errors.New("usage: launch setup | launch run NOTEBOOK | launch lab [NOTEBOOK] [ARGUMENT ...] | launch jupyter | launch kernel | launch unkernel | launch gopls | launch data | launch sync | launch refresh [NOTEBOOK]")

func launch(clone string, args []string) error {
	if len(args) == 1 && args[0] == "filter" { // git asks whether there is one
		return nil
	}
	if _, err := os.Stat(filepath.Join(clone, "pkg", "cmd", "launch")); err != nil {
		return fmt.Errorf("%s is not the top of a clone of Rekindle; go there first", clone)
	}
	command, notebook := "", ""
	if len(args) > 0 {
		command = args[0]
	}
	if command == "filter" && len(args) == 2 {
		return setup.Filter(clone, args[1], os.Stdin, os.Stdout)
	}
	if command == "settle" && len(args) == 2 {
		pid, err := strconv.Atoi(args[1])
		if err != nil {
			return errUsage
		}
		(&setup.Clone{Dir: clone}).SettleWhile(pid)
		return nil
	}
	var forJupyter []string
	if command == "lab" {
		args, forJupyter = labArguments(args)
	}
	if len(args) > 1 {
		notebook = args[1]
	}
	if len(args) > 2 || command == "run" && notebook == "" || notebook != "" && !slices.Contains([]string{"run", "lab", "refresh"}, command) {
		return errUsage
	}
	if notebook != "" {
		if info, err := os.Stat(notebook); err != nil || info.IsDir() {
			return fmt.Errorf("there is no notebook %s", notebook)
		}
	}
	ctx, stop := interrupt.Context()
	defer stop()
	err := do(ctx, &setup.Clone{Dir: clone}, command, notebook, forJupyter)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		fmt.Fprintln(os.Stderr, "⚠️  Interrupted. What is done stays; to go on, run the same again")
		return exitStatus(interrupt.Status(ctx))
	}
	return err
}

// do is what a person calls this program for. It ends with ctx.
func do(ctx context.Context, s *setup.Clone, command, notebook string, forJupyter []string) error {
	setUp := func(install func(context.Context) error) error {
		_, err := interrupt.Do(ctx, func() (any, error) { return nil, install(ctx) })
		return err
	}
	switch command {
	case "setup":
		s.Insist = true
		return setUp(s.All)
	case "data":
		return data(ctx)
	case "run":
		if err := setUp(s.All); err != nil {
			return err
		}
		if err := compile(ctx, s); err != nil {
			return err
		}
		return run(ctx, s, notebook)
	case "lab":
		if err := setUp(s.All); err != nil {
			return err
		}
		return lab(ctx, s, notebook, forJupyter)
	case "jupyter":
		return setUp(s.OwnJupyter)
	case "kernel":
		s.Claim = true
		return setUp(s.All)
	case "unkernel":
		return s.RemoveUserKernel()
	case "gopls":
		if err := setUp(s.All); err != nil {
			return err
		}
		return setUp(s.BuildGopls)
	case "sync":
		_, _, err := syncAll(s.Dir)
		return err
	case "refresh":
		if err := setUp(s.All); err != nil {
			return err
		}
		if err := compile(ctx, s); err != nil {
			return err
		}
		return refresh(ctx, s, notebook)
	}
	return errUsage
}
