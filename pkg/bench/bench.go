package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"rekindle/pkg/backend"
)

// bench gathers the lines of the report.
type bench struct {
	short  bool
	dir    string // scratch, removed at the end
	engine *backend.Engine
	peer   *peer   // nil: no PyTorch
	load   float64 // before the first measurement
	lines  []line
}

// line is one comparison.
type line struct {
	what, unit   string
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
	if b.engine, err = backend.Open("go"); err == nil {
		b.peer, err = startPeer(python, dir)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if b.peer == nil {
		fmt.Printf("⚠️  %s has no PyTorch (Debian: apt install python3-torch): only Rekindle's side is measured\n", python)
	}
	return b, nil
}

func (b *bench) close() {
	if b.peer != nil {
		b.peer.close()
	}
	os.RemoveAll(b.dir)
}

func (b *bench) add(l line) {
	b.lines = append(b.lines, l)
	fmt.Println(l.text())
}

// side measures once and returns one or more durations.
type side func() ([]time.Duration, error)

// asking is PyTorch's side, nil without PyTorch.
func (b *bench) asking(format string, args ...any) side {
	if b.peer == nil {
		return nil
	}
	return func() ([]time.Duration, error) { return b.peer.ask(fmt.Sprintf(format, args...)) }
}

// timed is a side that runs f once.
func timed(f func() error) side {
	return func() ([]time.Duration, error) {
		began := time.Now()
		err := f()
		return []time.Duration{time.Since(began)}, err
	}
}

// oneCore is a side that runs on one core and counts the seconds of the
// processor. On a busy machine this is the figure to trust: it does not contain
// the time that other programs take.
func oneCore(inner side) side {
	return func() ([]time.Duration, error) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		began := processorTime()
		list, err := inner()
		if err != nil {
			return nil, err
		}
		return []time.Duration{(processorTime() - began) / time.Duration(len(list))}, nil
	}
}

func processorTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err) // it has no errors but wrong arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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

// per turns seconds into n of something per second.
func (f figure) per(n float64) figure {
	if f.n > 0 {
		f.median, f.best = n/f.median, n/f.best
	}
	return f
}
