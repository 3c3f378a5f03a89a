package watch

import (
	"fmt"
	"math"
	"path"
	"strings"

	"rekindle/pkg/figures"
	"rekindle/pkg/history"
)

// Name is the experiment with its model and degradation, as its folder lies under
// the folder of all experiments.
func (v *View) Name() string {
	return path.Join(v.Config.Model, v.Config.Degradation, v.Exp.Name())
}

// State says in a few words whether and where the run goes on.
func (v *View) State() string {
	on := ""
	if v.Owner.PID > 0 {
		on = fmt.Sprintf(", pid %d on %s", v.Owner.PID, v.Owner.Host)
	}
	switch v.Phase {
	case Prepared:
		return "is new; waiting for its training to begin"
	case Starting:
		return "is starting" + on
	case Running:
		return "is trained" + on
	case Silent:
		return "no sign of life since " + v.clock() + on
	case Killed:
		return "was killed, or its machine went down; last sign of life at " + v.clock()
	case Over:
		if v.Stats.Status != "" {
			return "is over: " + strings.ReplaceAll(v.Stats.Status, "_", " ")
		}
		return "is over"
	}
	return "was never trained"
}

// clock is the time of the last sign of life, with its day where that is another one.
func (v *View) clock() string {
	seen := v.Seen.Local()
	if seen.Format("20060102") != v.Now.Local().Format("20060102") {
		return seen.Format("2006-01-02 15:04:05")
	}
	return seen.Format("15:04:05")
}

// Where is the epoch and the place in it: "epoch 3 of 7, batch 57 of 156".
func (v *View) Where() string {
	done, planned := v.Epochs()
	p := v.Progress
	switch {
	case p.Batches > 0 && p.Batch == p.Batches && done < p.Epoch:
		return fmt.Sprintf("epoch %d of %d, validating", p.Epoch, planned)
	case p.Batches > 0 && done < p.Epoch:
		return fmt.Sprintf("epoch %d of %d, batch %d of %d", p.Epoch, planned, p.Batch, p.Batches)
	case planned == 0:
		return fmt.Sprintf("%d epochs", done)
	}
	return fmt.Sprintf("%d of %d epochs", done, planned)
}

// best is the best epoch in words, "" before the first validation.
func (v *View) best() string {
	if epoch, loss, ok := v.History.Best(); ok {
		return fmt.Sprintf("best: epoch %d (val_loss %s)", epoch, figures.Loss(loss))
	}
	return ""
}

// LR is the learning rate of the last epoch that was finished.
func (v *View) LR() float64 {
	if n := v.History.Len(); n > 0 {
		return v.History.LR[n-1]
	}
	return math.NaN()
}

// Loss is that of the epoch under way, or of the last one.
func (v *View) Loss() float64 {
	if p := v.Progress; p.Batch > 0 {
		return float64(p.Loss)
	}
	if n := v.History.Len(); n > 0 {
		return v.History.TrainLoss[n-1]
	}
	return math.NaN()
}

// memory is what the process holds, "" where that is not known.
func (v *View) memory() string {
	if v.Progress.MemoryMB == 0 {
		return ""
	}
	of := " memory"
	if v.Progress.OnGPU {
		of = " of the GPU's memory"
	}
	return figures.Megabytes(v.Progress.MemoryMB) + of
}

// Line is the whole of it on one line, for a log.
func (v *View) Line() string {
	parts := []string{v.Now.Local().Format("15:04:05"), v.Where()}
	if v.Phase == Running {
		parts = append(parts, fmt.Sprintf("%.0f %%", 100*v.Fraction()))
	}
	if l := v.Loss(); !math.IsNaN(l) {
		parts = append(parts, "loss "+figures.Loss(l))
	}
	if n := v.History.Len(); n > 0 && !math.IsNaN(v.History.ValLoss[n-1]) {
		parts = append(parts, "val_loss "+figures.Loss(v.History.ValLoss[n-1]))
	}
	if b := v.best(); b != "" {
		parts = append(parts, b)
	}
	if l := v.LR(); !math.IsNaN(l) {
		parts = append(parts, "lr "+figures.Rate(l))
	}
	if m := v.memory(); m != "" {
		parts = append(parts, m)
	}
	if left := v.Left(); left > 0 {
		parts = append(parts, figures.Duration(left)+" left")
	}
	if v.Phase != Running {
		parts = append(parts, v.State())
	}
	return strings.Join(parts, ", ")
}

// blocks are a sparkline's steps.
var blocks = []rune("▁▂▃▄▅▆▇█")

// Sparkline draws a series as blocks from its lowest to its highest value. Where
// there are more values than columns, each column is the mean of some; what was not
// measured is a blank in a short series and left out in a long one.
func Sparkline(s history.Series, columns int) string {
	if len(s) == 0 || columns < 1 {
		return ""
	}
	means := make([]float64, min(len(s), columns))
	for i := range means {
		sum, n := 0.0, 0.0
		for _, x := range s[i*len(s)/len(means) : (i+1)*len(s)/len(means)] {
			if !math.IsNaN(x) && !math.IsInf(x, 0) {
				sum, n = sum+x, n+1
			}
		}
		means[i] = sum / n // NaN where there is none
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, m := range means {
		if !math.IsNaN(m) {
			low, high = min(low, m), max(high, m)
		}
	}
	var b strings.Builder
	for _, m := range means {
		switch {
		case math.IsNaN(m):
			b.WriteRune(' ')
		case high == low:
			b.WriteRune(blocks[len(blocks)/2])
		default:
			b.WriteRune(blocks[min(int((m-low)/(high-low)*float64(len(blocks))), len(blocks)-1)])
		}
	}
	return b.String()
}

// Bar draws a fraction as a bar of so many columns.
func Bar(fraction float64, columns int) string {
	full := int(fraction*float64(columns) + 0.5)
	return strings.Repeat("█", full) + strings.Repeat("░", max(0, columns-full))
}

// measured is the part of a series that was measured.
func measured(s history.Series) (out history.Series) {
	for _, x := range s {
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			out = append(out, x)
		}
	}
	return out
}

// Screen is the view in lines of at most so many columns, for a terminal. strong
// sets apart what matters most, and weak what matters least.
func (v *View) Screen(columns int, strong, weak func(string) string) []string {
	columns = min(max(columns, 40), 100)
	var lines []string
	add := func(line string) { lines = append(lines, line) }
	add(strong(cut(v.Name(), columns)))
	add(weak(cut(v.State(), columns)))
	add("")
	bar := Bar(v.Fraction(), max(10, columns/2-10))
	add(fmt.Sprintf("%s %3.0f %%  %s", bar, 100*v.Fraction(), v.Where()))
	if left := v.Left(); left > 0 {
		at := v.Now.Add(left).Local()
		ready := at.Format("15:04")
		if at.Format("20060102") != v.Now.Local().Format("20060102") {
			ready = at.Format("Mon 15:04")
		}
		add(fmt.Sprintf("%s left, ready at %s", figures.Duration(left), ready))
	}
	add("")
	spark := columns - 44
	for _, row := range []struct {
		name   string
		series history.Series
		show   func(float64) string
	}{
		{"train loss", v.History.TrainLoss, figures.Loss}, {"val loss", v.History.ValLoss, figures.Loss},
		{"val PSNR", v.History.ValPSNR, func(v float64) string { return figures.Decibels(v) + " dB" }}, {"lr", v.History.LR, figures.Rate},
	} {
		s := measured(row.series)
		if len(s) == 0 {
			continue
		}
		add(fmt.Sprintf("%-10s %10s → %-10s  %s", row.name, row.show(s[0]), row.show(s[len(s)-1]), Sparkline(s, spark)))
	}
	if best := v.best(); best != "" {
		add("★ " + best)
	}
	if v.Progress.Batch > 0 {
		parts := []string{"loss of this epoch " + figures.Loss(float64(v.Progress.Loss)), figures.Speed(v.Progress.ImagesPerSecond) + " images/s"}
		if m := v.memory(); m != "" {
			parts = append(parts, m)
		}
		add(cut(strings.Join(parts, " · "), columns))
	}
	if v.Problem != "" {
		add(cut("⚠️  "+v.Problem, 2*columns))
	}
	if v.Phase == Killed || v.Phase == Silent {
		add("What was saved is whole. To go on from there: cfg.ResumeFromCheckpoint = true")
	}
	return lines
}

// cut shortens a line in its middle, where it is too long.
func cut(line string, columns int) string {
	letters := []rune(line)
	if len(letters) <= columns {
		return line
	}
	return string(letters[:columns/2-1]) + "…" + string(letters[len(letters)-columns/2:])
}
