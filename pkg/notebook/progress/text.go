package progress

import (
	"fmt"
	"io"
	"time"

	"rekindle/pkg/figures"
)

// textView writes a run as lines of text.
type textView struct {
	w    io.Writer
	live bool // a terminal: a running line may be overwritten
	now  func() time.Time

	shown time.Time // when the running line was written last
	drawn bool      // a running line is on the screen
	quiet time.Time // since when nothing was written
	begun time.Time
}

const header = "  epoch    train loss    val loss   val SSIM   val PSNR         lr       time   images/s    memory"

func (v *textView) start(r running) {
	v.begun, v.quiet = v.now(), v.now()
	fmt.Fprintf(v.w, "🚀 Training epochs %d to %d, %d batches each\n%s\n", r.epoch, r.epochs, r.batches, header)
}

// batch writes the running line: often on a terminal; elsewhere only when an
// epoch takes long, ever more seldom, so that a log of days stays readable.
func (v *textView) batch(r running) {
	now := v.now()
	if v.live {
		if now.Sub(v.shown) >= 200*time.Millisecond {
			v.shown, v.drawn = now, true
			fmt.Fprintf(v.w, "\r\x1b[K  %s", runningLine(r))
		}
		return
	}
	if now.Sub(v.quiet) >= max(30*time.Second, now.Sub(v.begun)/20) {
		v.quiet = now
		fmt.Fprintf(v.w, "      … %s\n", runningLine(r))
	}
}

func (v *textView) epochDone(r running) {
	v.clear()
	v.quiet = v.now()
	fmt.Fprintln(v.w, epochLine(r, r.history.Len()))
}

func (v *textView) end(running) { v.clear() }

// clear removes the running line, so that something else can be written.
func (v *textView) clear() {
	if v.drawn {
		fmt.Fprint(v.w, "\r\x1b[K")
	}
	v.drawn = false
}

func runningLine(r running) string {
	text := fmt.Sprintf("epoch %d/%d, batch %d/%d, %.0f %%, loss %s, %.1f images/s", r.epoch, r.epochs, r.batch, r.batches, 100*r.fraction(), figures.Loss(r.loss), r.speed)
	if r.left > 0 {
		text += ", " + figures.Duration(r.left) + " left"
	}
	return text
}

// epochLine is the row of a finished epoch, 1-based, under [header].
func epochLine(r running, epoch int) string {
	e := r.history.At(epoch - 1)
	mark := ""
	if epoch == r.bestEpoch {
		mark = "  ★ best"
	}
	return fmt.Sprintf("%7s    %10s  %10s %10s %10s %10s %10s %10s %9s%s", fmt.Sprintf("%d/%d", epoch, r.epochs),
		figures.Loss(e.TrainLoss), figures.Loss(e.ValLoss), figures.Loss(e.ValSSIM), figures.Decibels(e.ValPSNR), figures.Rate(e.LR), figures.Seconds(e.EpochTime), figures.Speed(r.speeds[epoch]), figures.Megabytes(e.MemoryAllocatedMB), mark)
}
