package cell

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"rekindle/pkg/figures"
	"rekindle/pkg/machine"
)

// Counter shows on one line, which is written over itself, how many of a number
// of things are done and how long the rest will take: under a cell and on a
// terminal. A quick job shows nothing.
type Counter struct {
	what    string
	out     []io.Writer
	now     func() time.Time
	began   time.Time
	shown   time.Time
	visible int // letters on the line
}

// NewCounter begins to count; what is a word or two, such as "restored".
func NewCounter(what string) *Counter {
	c := &Counter{what: what, now: time.Now}
	if InNotebook() || machine.IsTerminal(os.Stdout) {
		c.out = append(c.out, os.Stdout)
	}
	if os.Getenv(LiveVariable) != "" {
		c.out = append(c.out, &runLog)
	}
	c.began = c.now()
	c.shown = c.began
	return c
}

// Set shows the count at most four times a second.
func (c *Counter) Set(done, total int) {
	now := c.now()
	if now.Sub(c.shown) < 250*time.Millisecond {
		return
	}
	c.shown = now
	text := fmt.Sprintf("   %s %d of %d", c.what, done, total)
	if passed := now.Sub(c.began); done > 0 && done < total && passed > 2*time.Second {
		text += fmt.Sprintf(", %s left", figures.Duration(passed/time.Duration(done)*time.Duration(total-done)))
	}
	c.write(text)
}

// End clears the line.
func (c *Counter) End() {
	if c.visible > 0 {
		c.write("")
		c.visible = 0
	}
}

func (c *Counter) write(text string) {
	n := len([]rune(text))
	line := "\r" + text + strings.Repeat(" ", max(0, c.visible-n))
	if n == 0 {
		line += "\r"
	}
	for _, w := range c.out {
		fmt.Fprint(w, line)
	}
	c.visible = n
}
