// Package measure is what the programs share that measure Rekindle and PyTorch
// beside it: real training in a scratch folder, PyTorch doing the same, turns and
// their medians, tables in Markdown.
//
//	ours, err := measure.Ask(ctx, "cpu", measure.Enough{Turns: 10}, "step 16 8 64")
//	peer, err := measure.FindPeer(ctx, "")
//	theirs, err := peer.Ask(ctx, "cpu", measure.Enough{Turns: 10}, "step 16 8 64")
//	ratio := ours.Figure().Median / theirs.Figure().Median
//
// Each side is a process of its own. The first turn of everything compiles and fills
// caches; it is told apart.
package measure

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekindle/pkg/machine"
)

// Turns is what was measured of one thing that was done again and again.
type Turns struct {
	First   float64   `json:"first"`   // seconds of the first turn
	Seconds []float64 `json:"seconds"` // of each other
	Peak    int64     `json:"peak"`    // bytes held at most, on the GPU where it computes there
}

// Enough is when measuring ends: not before so many turns after the first, nor
// before so much time has gone by.
type Enough struct {
	Turns int
	Time  time.Duration
}

// line is what peer.py and [Once] are asked.
func (e Enough) line(device, request string) string {
	return fmt.Sprintf("%s %d %g %s", device, e.Turns, e.Time.Seconds(), request)
}

// clock takes the time of turns.
type clock struct {
	Turns
	first, last time.Time // ends of turns; last begins as the start of the first
}

// turn ends one, and says whether it was the last.
func (c *clock) turn(e Enough) (last bool) {
	now := time.Now()
	if took := now.Sub(c.last).Seconds(); c.first.IsZero() {
		c.First, c.first = took, now
	} else {
		c.Seconds = append(c.Seconds, took)
	}
	c.last = now
	return len(c.Seconds) >= e.Turns && now.Sub(c.first) >= e.Time
}

// InTurn lets sides measure by turns until e, so that what changes on the machine
// meets all; the turns of each are put together. A side that is nil is passed over.
func InTurn(ctx context.Context, e Enough, sides ...func() (Turns, error)) ([]Turns, error) {
	all := make([]Turns, len(sides))
	began := time.Now()
	for round := 0; round < e.Turns || time.Since(began) < e.Time; round++ {
		for i, side := range sides {
			if side == nil {
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			t, err := side()
			if err != nil {
				return nil, err
			}
			all[i].Seconds, all[i].Peak = append(all[i].Seconds, t.Seconds...), max(all[i].Peak, t.Peak)
		}
	}
	return all, nil
}

// Figure is a median and the best of several measurements; N 0: not measured.
type Figure struct {
	Median, Best float64
	N            int
}

// Figure is of all turns but the first, in seconds.
func (t Turns) Figure() Figure {
	if len(t.Seconds) == 0 {
		return Figure{}
	}
	list := slices.Sorted(slices.Values(t.Seconds))
	return Figure{list[len(list)/2], list[0], len(list)}
}

// Megabytes is the figure of the memory.
func (t Turns) Megabytes() Figure {
	if t.Peak == 0 {
		return Figure{}
	}
	mb := float64(t.Peak) / machine.MB
	return Figure{mb, mb, 1}
}

// Per turns seconds into n of something per second.
func (f Figure) Per(n float64) Figure {
	if f.N > 0 {
		f.Median, f.Best = n/f.Median, n/f.Best
	}
	return f
}

// Table writes rows in Markdown. Columns whose names end with a colon are of
// numbers, which stand at the right.
func Table(columns []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string, from, to string) {
		b.WriteString("|")
		for _, cell := range cells {
			b.WriteString(" " + strings.ReplaceAll(cell, from, to) + " |")
		}
		b.WriteString("\n")
	}
	line(columns, ":", "")
	b.WriteString("|")
	for _, c := range columns {
		b.WriteString("---" + c[len(strings.TrimSuffix(c, ":")):] + "|")
	}
	b.WriteString("\n")
	for _, r := range rows {
		line(r, "|", "/")
	}
	return b.String()
}
