// Command rekindle uses what was trained. It has sub-commands:
//
//	rekindle restore -in holiday -out restored
//
// rekindle help lists them, and rekindle restore -help says all about one. make
// calls it: make restore IN=holiday OUT=restored.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"rekindle/pkg/durable"
	"rekindle/pkg/interrupt"
)

// streams are where a command writes: results, and what is about them.
type streams struct {
	out, messages io.Writer
}

// results is standard output. It remembers why something of it could not be written: a
// full disk, for one.
type results struct {
	io.Writer
	err error
}

func (r *results) Write(p []byte) (int, error) {
	n, err := r.Writer.Write(p)
	if err != nil && r.err == nil {
		r.err = err
	}
	return n, err
}

// command is a sub-command. run returns [errUsage] after it has said what was
// wrong with its arguments.
type command struct {
	name, about string
	stopped     string // what is said when it was interrupted: what became of its work
	run         func(ctx context.Context, args []string, s streams) error
}

var commands = []command{
	{"restore", "restore pictures with a trained network", "what is restored stays, and the same call goes on with the rest", runRestore},
	{"score", "measure what a network makes of noise, as papers do", "no scores were written", runScore},
	{"export", "write a trained network for other programs: ONNX, safetensors", "nothing half-written is left, and the same call exports it", runExport},
	{"list", "list experiments: what was trained, how far, how well", "nothing was changed", runList},
	{"watch", "watch a training run that goes on elsewhere", "training goes on", runWatch},
	{"photographs", "gather the pictures that the network which comes with this program was trained with", "what is there stays, and the same call goes on with the rest", runPhotographs},
}

var (
	errUsage  = errors.New("wrong call")
	errFailed = errors.New("some of it failed") // and was said
)

func main() {
	ctx, _ := interrupt.Context()
	context.AfterFunc(ctx, func() { // a second Ctrl+C ends it at once
		again := make(chan os.Signal, 1)
		signal.Notify(again, interrupt.Signals()...)
		<-again
		durable.Abandon()
		os.Exit(interrupt.Status(ctx))
	})
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdout, os.Stderr}))
}

// run is the program without its process; it returns the exit status: 0, 1 for
// what failed, 2 for a wrong call, 128 and the signal's number for an interruption.
func run(ctx context.Context, args []string, s streams) int {
	name, out := "", &results{Writer: s.out}
	if len(args) > 0 {
		name = args[0]
	}
	s.out = out
	switch name {
	case "help", "-h", "-help", "--help":
		usage(s.out)
		return 0
	}
	for _, c := range commands {
		if c.name != name {
			continue
		}
		_, err := interrupt.Do(ctx, func() (any, error) { return nil, c.run(ctx, args[1:], s) })
		if err == nil {
			err = out.err
		}
		switch {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return 0
		case errors.Is(err, errUsage):
			return 2
		case errors.Is(err, errFailed):
			return 1
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			fmt.Fprintf(s.messages, "⏹️  Stopped; %s\n", c.stopped)
			return interrupt.Status(ctx)
		}
		fmt.Fprintf(s.messages, "❌ %v\n", err)
		return 1
	}
	if name != "" {
		fmt.Fprintf(s.messages, "❌ there is no command %q\n\n", name)
	}
	usage(s.messages)
	return 2
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "rekindle uses what was trained.\n\nCommands:")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.about)
	}
	fmt.Fprintln(w, "\nrekindle COMMAND -help says all about one.")
}
