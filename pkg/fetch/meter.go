package fetch

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Meter shows how far a job has come: on a terminal one line that is written
// again over itself, elsewhere (a notebook, a log) a line for every tenth, if
// that takes a while.
type Meter struct {
	out      io.Writer
	rewrites bool
	now      func() time.Time

	what    string
	began   bool // since Begin, something was reported
	shown   time.Time
	tenth   int64
	visible int // length of the line that is on the terminal

	// The rate is that of the last seconds, weighted by how recent they are.
	rate   float64 // bytes per second
	at     time.Time
	atDone int64
}

// NewMeter returns a meter that prints to out; rewrites says that out is a
// terminal.
func NewMeter(out io.Writer, rewrites bool) *Meter {
	return &Meter{out: out, rewrites: rewrites, now: time.Now}
}

// Begin names what is measured from now on.
func (m *Meter) Begin(what string) {
	m.End()
	m.what, m.began, m.tenth, m.rate, m.shown = what, false, 0, 0, time.Time{}
}

const (
	showEvery = 250 * time.Millisecond
	lineEvery = 2 * time.Second
	memory    = 5 * time.Second // of the rate
)

// Set says how many bytes are done.
func (m *Meter) Set(done, total int64) {
	now := m.now()
	if !m.began || done < m.atDone { // what was there before took no time
		m.began, m.at, m.atDone, m.rate, m.tenth = true, now, done, 0, 10*done/max(total, 1)
		if !m.rewrites {
			m.shown = now
		}
		return
	}
	if passed := now.Sub(m.at); passed >= showEvery {
		latest := float64(done-m.atDone) / passed.Seconds()
		share := min(1, passed.Seconds()/memory.Seconds())
		if m.rate == 0 {
			share = 1
		}
		m.rate += share * (latest - m.rate)
		m.at, m.atDone = now, done
	}
	if m.rewrites {
		if now.Sub(m.shown) >= showEvery {
			m.shown = now
			m.write(m.line(done, total))
		}
		return
	}
	// The end is for the caller to announce.
	if tenth := 10 * done / max(total, 1); tenth > m.tenth && tenth < 10 && now.Sub(m.shown) >= lineEvery {
		m.tenth, m.shown = tenth, now
		fmt.Fprintln(m.out, m.line(done, total))
	}
}

// End clears the terminal's line.
func (m *Meter) End() {
	if m.visible > 0 {
		fmt.Fprintf(m.out, "\r%*s\r", m.visible, "")
		m.visible = 0
	}
}

// write puts a line over the one before it.
func (m *Meter) write(line string) {
	letters := len([]rune(line))
	fmt.Fprintf(m.out, "\r%s%s", line, strings.Repeat(" ", max(0, m.visible-letters)))
	m.visible = letters
}

func (m *Meter) line(done, total int64) string {
	line := fmt.Sprintf("   %s  %s of %s  %d %%", m.what, Size(done), Size(total), 100*done/max(total, 1))
	if m.rate > 0 {
		line += fmt.Sprintf("  %s/s  %s left", Size(int64(m.rate)), left(float64(total-done)/m.rate))
	}
	return line
}

// left writes a time for people, no finer than it can be known.
func left(seconds float64) string {
	switch s := int(seconds + 0.5); {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %02d s", s/60, s%60)
	case s < 100*3600:
		return fmt.Sprintf("%d h %02d min", s/3600, s/60%60)
	}
	return "days"
}
