// Package meter shows how far long work has come: a bar on a terminal, elsewhere (a
// notebook, a log) a line now and then.
//
//	bar := meter.Meter{To: os.Stderr, Terminal: machine.IsTerminal(os.Stderr)}
//	defer bar.End()
//	for done := range work { bar.Set("restoring", done, total) }
package meter

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"rekindle/pkg/figures"
)

// Meter is for one goroutine at a time.
type Meter struct {
	To       io.Writer
	Terminal bool // To is one
	Bytes    bool // are counted: a bar has their number and speed

	bar                *progressbar.ProgressBar // of what was left at first; nil without a terminal
	what               string
	first, done, total int64
	began, said        time.Time
}

// lineEvery is how often a line is printed where there is no terminal.
const lineEvery = 30 * time.Second

// Set says how far the work of a name is. Other work, or the same from an earlier place,
// begins anew: what was there before took no time.
func (m *Meter) Set(what string, done, total int64) {
	if what != m.what || done < m.done || m.began.IsZero() {
		m.End()
		m.what, m.first, m.began, m.said = what, done, time.Now(), time.Now()
		if m.Terminal && done < total {
			m.bar = progressbar.NewOptions64(total-done,
				progressbar.OptionSetWriter(m.To), progressbar.OptionSetWidth(30), progressbar.OptionSetPredictTime(true), progressbar.OptionShowBytes(m.Bytes),
				progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription(what))
		}
	}
	m.done, m.total = done, total
	switch {
	case m.bar != nil:
		_ = m.bar.Set64(done - m.first)
	case done < total && time.Since(m.said) >= lineEvery:
		m.said = time.Now()
		fmt.Fprintf(m.To, "   %s: %d %%, %s left\n", what, 100*done/total, figures.Duration(m.Left()))
	}
}

// Left is the time that the rest takes at the speed so far.
func (m *Meter) Left() time.Duration {
	return time.Duration(float64(time.Since(m.began)) * float64(m.total-m.done) / float64(max(m.done-m.first, 1)))
}

// Aside prints while the bar is out of the way.
func (m *Meter) Aside(print func()) {
	if m.bar != nil {
		_ = m.bar.Clear()
	}
	print()
	if m.bar != nil && m.done < m.total {
		_ = m.bar.RenderBlank()
	}
}

// End takes the bar away.
func (m *Meter) End() {
	if m.bar != nil {
		_ = m.bar.Clear()
		m.bar = nil
	}
}
