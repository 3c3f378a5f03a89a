package progress

import (
	"fmt"
	"html"
	"strings"
	"time"

	"rekindle/pkg/figures"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/plots"
)

// panel shows a run under a cell of a notebook: a box of HTML, below it the
// curve as a picture, and what the network makes of a few validation patches.
type panel struct {
	box, curve, patches cell.Display
	drawn               int       // epochs in the curve on the screen
	drawnAt             time.Time // when it was drawn
	crops               *cropsOf  // on the screen
}

func newPanel() *panel {
	return &panel{box: cell.NewDisplay(), curve: cell.NewDisplay(), patches: cell.NewDisplay()}
}

func (p *panel) paint(r running) {
	if r.batches == 0 && !r.whole {
		return // training has not begun
	}
	p.box.HTML(panelHTML(r), panelText(r))
	defer p.showCrops(r)
	n := r.history.Len()
	if n == p.drawn || n == 0 || !r.closed && time.Since(p.drawnAt) < curveEvery {
		return
	}
	if png, err := plots.Live(&r.history); err == nil {
		p.curve.PNG(png, "Losses of training and validation, epoch by epoch")
		p.drawn, p.drawnAt = n, time.Now()
	}
}

// showCrops comes after the curve, so that it stands below it.
func (p *panel) showCrops(r running) {
	if r.crops == p.crops || p.drawn == 0 {
		return
	}
	if png, err := r.crops.picture(r.crops.epoch); err == nil {
		p.patches.PNG(png, "Validation patches, degraded, restored so far, and clean")
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

// rows are the table's cells for the last n epochs, those of earlier sessions too.
func rows(r running, n int) [][]string {
	var out [][]string
	for epoch := max(r.history.Len()-n+1, 1); epoch <= r.history.Len(); epoch++ {
		e := r.history.At(epoch - 1)
		mark := ""
		if epoch == r.bestEpoch {
			mark = "★ best"
		}
		out = append(out, []string{fmt.Sprintf("%d / %d", epoch, r.epochs), figures.Loss(e.TrainLoss), figures.Loss(e.ValLoss), figures.Loss(e.ValSSIM), figures.Decibels(e.ValPSNR), figures.Rate(e.LR),
			figures.Seconds(e.EpochTime), figures.Speed(r.speeds[epoch]), figures.Megabytes(e.MemoryAllocatedMB), mark})
	}
	return out
}

// headline is the state in one line.
func headline(r running) string {
	if r.closed {
		text := fmt.Sprintf("%d of %d epochs finished", r.history.Len(), r.epochs)
		if r.bestEpoch > 0 {
			text += fmt.Sprintf(", best: epoch %d (val_loss %s)", r.bestEpoch, figures.Loss(r.bestLoss))
		}
		return text
	}
	parts := []string{fmt.Sprintf("Epoch %d of %d", r.epoch, r.epochs), fmt.Sprintf("batch %d of %d", r.batch, r.batches)}
	if r.left > 0 {
		parts = append(parts, figures.Duration(r.left)+" left")
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
	parts := []string{"loss " + figures.Loss(r.loss), figures.Speed(r.speed) + " images/s", figures.Megabytes(float64(r.memory)/(1<<20)) + memory}
	if r.bestEpoch > 0 {
		parts = append(parts, fmt.Sprintf("best so far: epoch %d (val_loss %s)", r.bestEpoch, figures.Loss(r.bestLoss)))
	}
	return strings.Join(parts, " · ")
}

// standsStill is for whoever loads the page anew: Jupyter then shows what was saved of
// a cell, and its kernel does not send what comes after it to the new page.
const standsStill = "if this stands still, the page was loaded anew: make watch in a terminal shows where the run is"

// footnote says of which moment the box is.
func footnote(r running) string {
	switch {
	case r.closed:
		return r.note
	case r.watched:
		return "as of " + r.asOf.Format("15:04:05")
	}
	return "as of " + r.asOf.Format("15:04:05") + "; " + standsStill
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
	if note := footnote(r); note != "" {
		fmt.Fprintf(&b, `<div style="margin:4px 0;opacity:0.6;font-size:smaller">%s</div>`, html.EscapeString(note))
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
	for epoch := max(r.history.Len()-shownAtEnd+1, 1); epoch <= r.history.Len(); epoch++ {
		lines = append(lines, epochLine(r, epoch))
	}
	return strings.Join(lines, "\n")
}
