package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"rekindle/pkg/backend"
	"rekindle/pkg/cmd/internal/measure"
)

// bench gathers the lines of the report.
type bench struct {
	short   bool
	dir     string // scratch, removed at the end
	engines []engine
	peer    *measure.Peer // nil: no PyTorch
	load    float64       // before the first measurement
	lines   []line
}

// engine is one that this machine has.
type engine struct {
	device string // of the configuration
	choice backend.Choice
}

// enginesHere are the one in pure Go, and XLA's for the processor where its
// plugin is.
func enginesHere() (list []engine, err error) {
	for _, device := range []string{"go", "cpu"} {
		opened, err := backend.Open(device)
		if err != nil {
			return nil, err
		}
		if device == "go" || opened.Choice.Name != "go" {
			list = append(list, engine{device, opened.Choice})
		}
		opened.Finalize()
	}
	return list, nil
}

// line is one comparison.
type line struct {
	what, unit   string
	engine       string // "" where none takes part
	ours, theirs measure.Figure
	versus       string // what stands in the other column, "" for PyTorch
	bound        string // of our figure or of the ratio, in words
}

func newBench(ctx context.Context, python string, short bool) (*bench, error) {
	engines, err := enginesHere()
	if err != nil {
		return nil, err
	}
	b := &bench{short: short, engines: engines, load: load()}
	if b.peer, err = measure.FindPeer(ctx, python); err != nil {
		fmt.Printf("⚠️  no PyTorch (make peers installs it), only Rekindle's side is measured: %v\n", err)
	}
	b.dir, err = os.MkdirTemp("", "rekindle-bench-")
	return b, err
}

func (b *bench) close() { os.RemoveAll(b.dir) }

func (b *bench) add(l line) {
	b.lines = append(b.lines, l)
	fmt.Println(l.text())
}

// side measures once.
type side func() (measure.Turns, error)

// asking is PyTorch's side, nil without PyTorch.
func (b *bench) asking(ctx context.Context, turns int, request string) side {
	if b.peer == nil {
		return nil
	}
	return func() (measure.Turns, error) { return b.peer.Ask(ctx, "cpu", measure.Enough{Turns: turns}, request) }
}

// timed is a side that runs f once.
func timed(f func() error) side {
	return func() (measure.Turns, error) {
		began := time.Now()
		err := f()
		return measure.Turns{Seconds: []float64{time.Since(began).Seconds()}}, err
	}
}

// pairs lets two sides take turns until the time is up, at least thrice (once
// in short mode), after a turn of each that does not count: it compiles and
// fills caches. theirs may be nil.
func (b *bench) pairs(ctx context.Context, budget time.Duration, ours, theirs side) (mine, other measure.Figure, err error) {
	counted := measure.Enough{Turns: 3, Time: budget}
	if b.short {
		counted = measure.Enough{Turns: 1, Time: budget / 10}
	}
	var turns []measure.Turns
	for _, e := range []measure.Enough{{Turns: 1}, counted} {
		if turns, err = measure.InTurn(ctx, e, ours, theirs); err != nil {
			return mine, other, err
		}
	}
	return turns[0].Figure(), turns[1].Figure(), nil
}

// compare measures one thing on every engine and with PyTorch, each in processes
// of its own, in turn, and adds a line for each engine. bounds are by Device.
func (b *bench) compare(ctx context.Context, what, unit, request string, bounds map[string]bound) error {
	rounds, times := 3, 10
	if b.short {
		rounds, times = 1, 3
	}
	sides := []func() (measure.Turns, error){b.asking(ctx, times, request)}
	for _, e := range b.engines {
		sides = append(sides, func() (measure.Turns, error) {
			return measure.Ask(ctx, e.device, measure.Enough{Turns: times}, request)
		})
	}
	turns, err := measure.InTurn(ctx, measure.Enough{Turns: rounds}, sides...)
	if err != nil {
		return err
	}
	theirs := turns[0]
	for i, e := range b.engines {
		ours := turns[i+1]
		b.add(line{what: what, unit: unit, engine: e.choice.Name, ours: ours.Figure(), theirs: theirs.Figure(), bound: bounds[e.device].time})
		b.add(line{what: "peak memory, " + what, unit: "MB", engine: e.choice.Name, ours: ours.Megabytes(), theirs: theirs.Megabytes(), bound: bounds[e.device].memory})
	}
	return nil
}

// bound is what is wanted of an engine beside PyTorch, in words.
type bound struct{ time, memory string }
