package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"rekindle/pkg/cmd/internal/measure"
	"rekindle/pkg/machine"
)

func (l line) against() string {
	if l.versus == "" {
		return "PyTorch"
	}
	return l.versus
}

func (l line) scaled(f measure.Figure) string {
	if f.N == 0 {
		return "–"
	}
	v := f.Median
	if l.unit == "ms" {
		v *= 1000
	}
	if v >= 20 {
		return fmt.Sprintf("%.0f %s", v, l.unit)
	}
	return fmt.Sprintf("%.2f %s", v, l.unit)
}

func (l line) ratios() (medians, best string) {
	if l.theirs.N == 0 {
		return "–", "–"
	}
	return fmt.Sprintf("%.2f", l.ours.Median/l.theirs.Median), fmt.Sprintf("%.2f", l.ours.Best/l.theirs.Best)
}

// text is a line for people who watch.
func (l line) text() string {
	medians, best := l.ratios()
	return fmt.Sprintf("%-50s %-8s %14s  %s: %s  ratio %s (of the fastest: %s)", l.what, l.engine, l.scaled(l.ours), l.against(), l.scaled(l.theirs), medians, best)
}

// report is the table with everything one must know to repeat it, in Markdown.
func (b *bench) report(began time.Time) string {
	var t strings.Builder
	fmt.Fprintf(&t, "Measured on %s, %d cores (%s), %d GB of memory, load %.0f before and %.0f at the end.\n", began.Format("2 January 2006"),
		runtime.NumCPU(), machine.CPU(), (machine.MainMemory().Total+machine.MB*512)/(machine.MB*1024), b.load, load())
	fmt.Fprintf(&t, "%s%s", runtime.Version(), simd())
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if strings.HasPrefix(d.Path, "github.com/gomlx/") {
				fmt.Fprintf(&t, ", %s %s", d.Path, d.Version)
			}
		}
	}
	t.WriteString(".\n")
	for _, e := range b.engines {
		fmt.Fprintf(&t, "Engine %s.\n", e.choice)
	}
	if b.peer != nil {
		fmt.Fprintf(&t, "%s.\n", b.peer.Version)
	}
	var rows [][]string
	for _, l := range b.lines {
		medians, best := l.ratios()
		rows = append(rows, []string{l.what, l.engine, l.scaled(l.ours), l.scaled(l.theirs), l.against(), medians, best, l.bound, fmt.Sprintf("%d, %d", l.ours.N, l.theirs.N)})
	}
	columns := []string{"What", "Engine", "Rekindle:", "The other:", "Which", "Ratio:", "Of the fastest:", "Wanted", "Repetitions:"}
	return t.String() + "\n" + measure.Table(columns, rows)
}

// simd says whether the vector instructions of Go's experiment are compiled in.
func simd() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "GOEXPERIMENT" && strings.Contains(s.Value, "simd") {
				return " with GOEXPERIMENT=simd"
			}
		}
	}
	return " WITHOUT GOEXPERIMENT=simd (several times slower)"
}

// load is the number of programs that wanted to run in the last minute, ours
// among them: well above the number of cores, the figures are those of a busy
// machine. 0 where the system does not say.
func load() float64 {
	var n float64
	if raw, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Sscan(string(raw), &n)
	}
	return n
}

// The program replaces what stands between these lines; the rest of the file is
// written by people.
const (
	from  = "<!-- go run ./pkg/cmd/bench writes from here -->"
	until = "<!-- to here -->"
)

func writeReport(path, text string) error {
	old, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		old, err = []byte("# Benchmarks\n\n"+from+"\n"+until+"\n"), os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err != nil {
		return err
	}
	head, rest, ok1 := bytes.Cut(old, []byte(from))
	_, tail, ok2 := bytes.Cut(rest, []byte(until))
	if !ok1 || !ok2 {
		return fmt.Errorf("%s lacks the lines %q and %q between which the table belongs", path, from, until)
	}
	text = string(head) + from + "\n" + text + until + string(tail)
	return os.WriteFile(path, []byte(text), 0o644)
}
