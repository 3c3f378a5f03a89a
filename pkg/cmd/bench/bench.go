package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"rekindle/pkg/backend"
	"rekindle/pkg/machine"
)

// bench gathers the lines of the report.
type bench struct {
	short   bool
	dir     string // scratch, removed at the end
	engines []engine
	peer    *peer   // nil: no PyTorch
	load    float64 // before the first measurement
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
	ours, theirs figure
	versus       string // what stands in the other column, "" for PyTorch
	bound        string // of our figure or of the ratio, in words
}

// figure is a median and the best of several measurements; n 0: not measured.
type figure struct {
	median, best float64
	n            int
}

func newBench(python string, short bool) (*bench, error) {
	dir, err := os.MkdirTemp("", "rekindle-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{short: short, dir: dir, load: load()}
	if b.engines, err = enginesHere(); err == nil {
		b.peer, err = findPeer(python, dir)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if b.peer == nil {
		fmt.Println("⚠️  no PyTorch (make peers installs it): only Rekindle's side is measured")
	}
	return b, nil
}

func (b *bench) close() { os.RemoveAll(b.dir) }

func (b *bench) add(l line) {
	b.lines = append(b.lines, l)
	fmt.Println(l.text())
}

// side measures once and returns one or more durations.
type side func() ([]time.Duration, error)

// asking is PyTorch's side, nil without PyTorch.
func (b *bench) asking(ctx context.Context, format string, args ...any) side {
	if b.peer == nil {
		return nil
	}
	return func() ([]time.Duration, error) {
		m, err := b.peer.ask(ctx, fmt.Sprintf(format, args...))
		return m.durations(), err
	}
}

// timed is a side that runs f once.
func timed(f func() error) side {
	return func() ([]time.Duration, error) {
		began := time.Now()
		err := f()
		return []time.Duration{time.Since(began)}, err
	}
}

// pairs lets two sides take turns until the time is up, at least thrice (once
// in short mode), after a turn of each that does not count: it compiles and
// fills caches. theirs may be nil.
func (b *bench) pairs(ctx context.Context, budget time.Duration, ours, theirs side) (mine, other figure, err error) {
	least := 3
	if b.short {
		least, budget = 1, budget/10
	}
	var first, second []time.Duration
	var began time.Time
	for i := 0; i <= least || time.Since(began) < budget; i++ {
		if i == 1 {
			first, second, began = nil, nil, time.Now()
		}
		if err := ctx.Err(); err != nil {
			return figure{}, figure{}, err
		}
		d, err := ours()
		if err != nil {
			return figure{}, figure{}, err
		}
		first = append(first, d...)
		if theirs != nil {
			if d, err = theirs(); err != nil {
				return figure{}, figure{}, err
			}
			second = append(second, d...)
		}
	}
	return summarise(first), summarise(second), nil
}

// summarise gives seconds.
func summarise(list []time.Duration) figure {
	if len(list) == 0 {
		return figure{}
	}
	slices.Sort(list)
	return figure{list[len(list)/2].Seconds(), list[0].Seconds(), len(list)}
}

// measured is what a process of its own prints about the one thing that it did,
// several times, after a turn that does not count.
type measured struct {
	Seconds []float64
	Peak    int64 // bytes it held at most
}

func (m measured) durations() (list []time.Duration) {
	for _, s := range m.Seconds {
		list = append(list, time.Duration(s*float64(time.Second)))
	}
	return list
}

// alone runs a program that measures itself. Nothing else of ours runs meanwhile.
func alone(cmd *exec.Cmd) (m measured, err error) {
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		return m, fmt.Errorf("%s: %w", strings.Join(cmd.Args[1:], " "), err)
	}
	return m, nil
}

// compare measures one thing on every engine and with PyTorch, each in processes
// of its own, in turn, and adds a line for each engine. bounds are by Device.
func (b *bench) compare(ctx context.Context, what, unit, request string, bounds map[string]bound) error {
	rounds, times := 3, 10
	if b.short {
		rounds, times = 1, 3
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	seconds, peaks := map[string][]time.Duration{}, map[string]int64{}
	note := func(who string, m measured, err error) error {
		seconds[who] = append(seconds[who], m.durations()...)
		peaks[who] = max(peaks[who], m.Peak)
		return err
	}
	for range rounds {
		for _, e := range b.engines {
			cmd := exec.CommandContext(ctx, self, "-once", fmt.Sprintf("%s %d", request, times), "-device", e.device)
			m, err := alone(cmd)
			if err := note(e.device, m, err); err != nil {
				return err
			}
		}
		if b.peer != nil {
			m, err := b.peer.ask(ctx, fmt.Sprintf("%s %d", request, times))
			if err := note("", m, err); err != nil {
				return err
			}
		}
	}
	var theirs, theirPeak figure
	if b.peer != nil {
		theirs, theirPeak = summarise(seconds[""]), megabytes(peaks[""])
	}
	for _, e := range b.engines {
		b.add(line{what: what, unit: unit, engine: e.choice.Name, ours: summarise(seconds[e.device]), theirs: theirs, bound: bounds[e.device].time})
		b.add(line{what: "peak memory, " + what, unit: "MB", engine: e.choice.Name, ours: megabytes(peaks[e.device]), theirs: theirPeak, bound: bounds[e.device].memory})
	}
	return nil
}

// bound is what is wanted of an engine beside PyTorch, in words.
type bound struct{ time, memory string }

func megabytes(bytes int64) figure {
	mb := float64(bytes) / machine.MB
	return figure{mb, mb, 1}
}

// per turns seconds into n of something per second.
func (f figure) per(n float64) figure {
	if f.n > 0 {
		f.median, f.best = n/f.median, n/f.best
	}
	return f
}
