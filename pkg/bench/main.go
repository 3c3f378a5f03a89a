// Command bench measures Rekindle on the engine in pure Go against PyTorch with
// four threads, and its data pipeline and checkpoints against the plain way.
//
//	go run ./pkg/bench          prints a table and writes it to docs/benchmarks.md
//	go run ./pkg/bench -short   in less than a minute, to see that everything still works
//
// The two sides take turns: a pair is one measurement of each in the same
// seconds, so that another program's load meets both. PyTorch is Debian's
// package python3-torch; where it is missing only Rekindle's side is measured.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	short := flag.Bool("short", false, "few repetitions and small sizes, nothing written unless -out is given")
	out := flag.String("out", "", "file for the table (docs/benchmarks.md, or none with -short)")
	python := flag.String("python", "/usr/bin/python3", "the Python that has PyTorch")
	once := flag.String("once", "", "measure the peak memory of one thing, such as step,16,8,64 (the program calls itself with it)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *short, *out, *python, *once); err != nil {
		fmt.Fprintln(os.Stderr, "❌", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, short bool, out, python, once string) error {
	if once != "" {
		return measureOnce(ctx, strings.Split(once, ","))
	}
	if out == "" && !short {
		out = "docs/benchmarks.md"
	}
	b, err := newBench(python, short)
	if err != nil {
		return err
	}
	defer b.close()
	began := time.Now()
	for _, part := range []func(context.Context) error{b.networks, b.pipeline, b.checkpoints, b.restoration, b.memory} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	text := b.report(began)
	fmt.Println("\n" + text)
	if out == "" {
		return nil
	}
	return writeReport(out, text)
}
