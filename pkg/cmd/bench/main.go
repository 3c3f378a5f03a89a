// Command bench measures Rekindle's engines, the one in pure Go and XLA's where
// its plugin is, against PyTorch with as many threads as the machine has cores,
// and the data pipeline and checkpoints against the plain way.
//
//	go run ./pkg/cmd/bench          prints a table and writes it to docs/benchmarks.md
//	go run ./pkg/cmd/bench -short   about a minute, to see that everything still works
//
// Each side is a process of its own that runs while no other does, and they take
// turns, so that what changes on the machine meets all. PyTorch is that of "make
// peers", or what Python finds; where there is none only Rekindle's side is
// measured.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"rekindle/pkg/cmd/internal/measure"
)

func main() {
	short := flag.Bool("short", false, "few repetitions and small sizes, nothing written unless -out is given")
	out := flag.String("out", "", "file for the table (docs/benchmarks.md, or none with -short)")
	python := flag.String("python", "", "the Python that has PyTorch (that of make peers, else python3)")
	once := flag.String("once", "", "measure one thing, such as \"cpu 10 0 step 16 8 64\" (the program calls itself with it)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := error(nil)
	if *once != "" {
		err = measure.Once(ctx, *once)
	} else {
		err = run(ctx, *short, *out, *python)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "❌", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, short bool, out, python string) error {
	if out == "" && !short {
		out = "docs/benchmarks.md"
	}
	b, err := newBench(ctx, python, short)
	if err != nil {
		return err
	}
	defer b.close()
	began := time.Now()
	for _, part := range []func(context.Context) error{b.networks, b.pipeline, b.checkpoints, b.restoration} {
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
