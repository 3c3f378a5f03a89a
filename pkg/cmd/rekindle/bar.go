package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// bar shows how far a command has come: a bar over pixels where there is a
// terminal, else a line now and then.
type bar struct {
	to       io.Writer
	bar      *progressbar.ProgressBar // nil without a terminal
	pictures int
	all      int64
	done     int64
	began    time.Time
	said     time.Time
}

// lineEvery is how often a line is printed where there is no terminal.
const lineEvery = 30 * time.Second

func (b *bar) begin(to io.Writer, pictures int, pixels int64) {
	*b = bar{to: to, pictures: pictures, all: pixels, began: time.Now(), said: time.Now()}
	if f, ok := to.(*os.File); ok && term.IsTerminal(int(f.Fd())) && pixels > 0 {
		b.bar = progressbar.NewOptions64(pixels,
			progressbar.OptionSetWriter(to), progressbar.OptionSetWidth(30), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription("restoring"))
	}
}

func (b *bar) set(done int64) {
	b.done = done
	switch {
	case b.bar != nil:
		_ = b.bar.Set64(done)
	case done < b.all && time.Since(b.said) > lineEvery:
		b.said = time.Now()
		fmt.Fprintf(b.to, "   %d%% of all pixels, %s left\n", 100*done/b.all, duration(b.remaining()))
	}
}

// remaining is the time that the rest takes at the present speed.
func (b *bar) remaining() time.Duration {
	if b.done == 0 {
		return 0
	}
	return time.Duration(float64(time.Since(b.began)) * float64(b.all-b.done) / float64(b.done))
}

// left says how many pictures and how much time are left, where no bar does.
func (b *bar) left(done int) string {
	if b.bar != nil || done >= b.pictures {
		return ""
	}
	return fmt.Sprintf("  %d of %d, %s left", done, b.pictures, duration(b.remaining()))
}

// aside prints while the bar is out of the way.
func (b *bar) aside(print func()) {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
	print()
	if b.bar != nil && b.done < b.all {
		_ = b.bar.RenderBlank()
	}
}

func (b *bar) end() {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
}
