package notebook

import (
	"fmt"
	"html"
	"math"
	"strings"
	"time"

	"rekindle/pkg/plots"
)

// panel shows a run under a cell of a notebook: a box of HTML, below it the
// curve as a picture, and what the network makes of a few validation patches.
type panel struct {
	box, curve, patches display
	drawn               int       // epochs in the curve on the screen
	drawnAt             time.Time // when it was drawn
	crops               *cropsOf  // on the screen
}

func newPanel() *panel { return &panel{box: newDisplay(), curve: newDisplay(), patches: newDisplay()} }

func (p *panel) paint(r running) {
	if r.batches == 0 {
		return // training has not begun
	}
	p.box.html(panelHTML(r), panelText(r))
	defer p.showCrops(r)
	n := r.history.Len()
	if n == p.drawn || n == 0 || !r.closed && time.Since(p.drawnAt) < curveEvery {
		return
	}
	if png, err := plots.Live(&r.history); err == nil {
		p.curve.png(png)
		p.drawn, p.drawnAt = n, time.Now()
	}
}

// showCrops comes after the curve, so that it stands below it.
func (p *panel) showCrops(r running) {
	if r.crops == p.crops || p.drawn == 0 {
		return
	}
	if png, err := r.crops.picture(r.crops.epoch); err == nil {
		p.patches.png(png)
		p.crops = r.crops
	}
}

// latest is how many epochs the table shows while training runs; shownAtEnd
// bounds the table that is stored in the notebook.
const (
	latest     = 5
	shownAtEnd = 40
)

var columns = []string{"epoch", "train loss", "val loss", "val SSIM", "val PSNR (dB)", "learning rate", "time", "images/s", "memory", ""}

// rows are the table's cells for the last n epochs of this session.
func rows(r running, n int) [][]string {
	var out [][]string
	for epoch := max(r.fromEpoch, r.history.Len()-n+1, 1); epoch <= r.history.Len(); epoch++ {
		e := r.history.At(epoch - 1)
		mark := ""
		if epoch == r.bestEpoch {
			mark = "★ best"
		}
		out = append(out, []string{fmt.Sprintf("%d / %d", epoch, r.epochs), number(e.TrainLoss), number(e.ValLoss), number(e.ValSSIM), decibels(e.ValPSNR), rate(e.LR),
			seconds(e.EpochTime), speed(r.speeds[epoch]), megabytes(e.MemoryAllocatedMB), mark})
	}
	return out
}

// headline is the state in one line.
func headline(r running) string {
	if r.closed {
		text := fmt.Sprintf("%d of %d epochs finished", r.history.Len(), r.epochs)
		if r.bestEpoch > 0 {
			text += fmt.Sprintf(", best: epoch %d (val_loss %s)", r.bestEpoch, number(r.bestLoss))
		}
		return text
	}
	parts := []string{fmt.Sprintf("Epoch %d of %d", r.epoch, r.epochs), fmt.Sprintf("batch %d of %d", r.batch, r.batches)}
	if r.left > 0 {
		parts = append(parts, spell(r.left)+" left")
	}
	return strings.Join(parts, " · ")
}

func details(r running) string {
	if r.firstAt.IsZero() {
		return "compiling the training step"
	}
	memory := " memory"
	if r.onGPU {
		memory = " of the GPU's memory"
	}
	parts := []string{"loss " + number(r.loss), speed(r.speed) + " images/s", megabytes(float64(r.memory)/(1<<20)) + memory}
	if r.bestEpoch > 0 {
		parts = append(parts, fmt.Sprintf("best so far: epoch %d (val_loss %s)", r.bestEpoch, number(r.bestLoss)))
	}
	return strings.Join(parts, " · ")
}

// panelHTML uses no colours of its own for text, so that it can be read on dark
// pages, and stays a plain table where styles are stripped.
func panelHTML(r running) string {
	var b strings.Builder
	b.WriteString(`<div style="max-width:1000px">`)
	fmt.Fprintf(&b, `<div style="margin-bottom:4px"><b>%s</b></div>`, html.EscapeString(headline(r)))
	if !r.closed {
		fmt.Fprintf(&b, `<div style="height:10px;border-radius:5px;background:rgba(127,127,127,0.25)"><div style="height:10px;border-radius:5px;width:%.1f%%;background:#2563eb"></div></div>`, 100*r.fraction())
		fmt.Fprintf(&b, `<div style="margin:4px 0;opacity:0.8">%s</div>`, html.EscapeString(details(r)))
	}
	n := latest
	if r.closed {
		n = shownAtEnd
	}
	if table := rows(r, n); len(table) > 0 {
		b.WriteString("<table><thead><tr>")
		for _, c := range columns {
			fmt.Fprintf(&b, "<th>%s</th>", c)
		}
		b.WriteString("</tr></thead><tbody>")
		for _, row := range table {
			b.WriteString("<tr>")
			for _, cell := range row {
				fmt.Fprintf(&b, "<td>%s</td>", html.EscapeString(cell))
			}
			b.WriteString("</tr>")
		}
		b.WriteString("</tbody></table>")
	}
	b.WriteString("</div>")
	return b.String()
}

// panelText is the same for readers without HTML.
func panelText(r running) string {
	lines := []string{headline(r), header}
	for epoch := max(r.fromEpoch, r.history.Len()-shownAtEnd+1, 1); epoch <= r.history.Len(); epoch++ {
		lines = append(lines, epochLine(r, epoch))
	}
	return strings.Join(lines, "\n")
}

func rate(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.1e", v)
}

func seconds(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return spell(time.Duration(v * float64(time.Second)))
}

func speed(v float64) string {
	if v == 0 || math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.1f", v)
}

func megabytes(v float64) string {
	if math.IsNaN(v) || v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f MB", v)
}
