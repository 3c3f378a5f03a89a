// Package plots draws what a person looks at after training, and while it runs:
// training curves and grids of pictures with titles, as PNG.
//
//	history, err := history.Load(exp.HistoryPath())
//	png, err := plots.Curves(history)
//
// Functions here only draw; saving and showing is the caller's business.
package plots

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"math"
	"rekindle/pkg/history"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// ErrEmpty is returned, wrapped, when there is nothing to draw.
var ErrEmpty = errors.New("nothing to draw")

// Curves draws a history in panels: loss, L1 and SSIM of training and validation,
// and the learning rate on a logarithmic axis. Validation is drawn as points
// where there was one, and the best epoch is marked. 1400 x 1050 pixels; 1400 x
// 1500 with the two more panels, PSNR and the time of each epoch, of a history
// that has a PSNR.
func Curves(h *history.History) (png []byte, err error) {
	if h.Len() == 0 {
		return nil, fmt.Errorf("plots: %w: the history has no epochs yet", ErrEmpty)
	}
	rate := panel(h, "Learning rate", "")
	add(rate, "", ratePoints(h.LR), rateColor, nil)
	logarithmic(rate)
	l1 := metricPanel(h, "L1", "mean absolute error in [-1, 1]", h.TrainL1, h.ValL1, true)
	ssim := metricPanel(h, "SSIM (higher is better)", "structural similarity", h.TrainSSIM, h.ValSSIM, false)
	if !measured(h.ValPSNR) {
		return render(1400, 1050, [][]*plot.Plot{{lossPanel(h), l1}, {ssim, rate}})
	}
	psnr := metricPanel(h, "PSNR (higher is better)", "dB", nil, h.ValPSNR, false)
	duration := panel(h, "Time of an epoch", "seconds")
	add(duration, "", h.EpochTime, trainColor, nil)
	return render(1400, 1500, [][]*plot.Plot{{lossPanel(h), psnr}, {l1, ssim}, {rate, duration}})
}

func measured(s history.Series) bool {
	return slices.ContainsFunc(s, func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) })
}

// Live draws the loss and the PSNR (the SSIM where there is none) of a run side by side, small enough to be
// redrawn after each epoch. 1000 x 340 pixels.
func Live(h *history.History) (png []byte, err error) {
	if h.Len() == 0 {
		return nil, fmt.Errorf("plots: %w: the history has no epochs yet", ErrEmpty)
	}
	other := metricPanel(h, "SSIM (higher is better)", "", h.TrainSSIM, h.ValSSIM, false)
	if measured(h.ValPSNR) {
		other = metricPanel(h, "PSNR (higher is better)", "dB", nil, h.ValPSNR, false)
	}
	return render(1000, 340, [][]*plot.Plot{{lossPanel(h), other}})
}

func lossPanel(h *history.History) *plot.Plot {
	p := panel(h, "Loss (L1 + SSIM)", "loss")
	add(p, "training", h.TrainLoss, trainColor, nil)
	add(p, "validation", h.ValLoss, valColor, draw.CircleGlyph{})
	if epoch, loss, ok := h.Best(); ok {
		best, _ := plotter.NewScatter(plotter.XYs{{X: float64(epoch), Y: loss}}) // one finite point is never an error
		best.GlyphStyle = draw.GlyphStyle{Color: bestColor, Radius: vg.Points(6), Shape: ring{}}
		p.Add(best)
		p.Legend.Add(fmt.Sprintf("best: epoch %d", epoch), best)
	}
	return p
}

func metricPanel(h *history.History, title, unit string, train, val history.Series, topLegend bool) *plot.Plot {
	p := panel(h, title, unit)
	add(p, "training", train, trainColor, nil)
	add(p, "validation", val, valColor, draw.CircleGlyph{})
	if !topLegend { // where a rising curve leaves room
		p.Legend.Top, p.Legend.YOffs = false, -p.Legend.YOffs
	}
	return p
}

// panel is an empty plot over the epochs of h.
func panel(h *history.History, title, unit string) *plot.Plot {
	p := plot.New()
	style(p)
	p.Title.Text = title
	p.X.Label.Text = "epoch"
	p.Y.Label.Text = unit
	p.X.Tick.Marker, p.Y.Tick.Marker = wholeTicks{}, roundTicks{}
	grid := plotter.NewGrid()
	grid.Horizontal = draw.LineStyle{Color: gridColor, Width: vg.Points(0.75)}
	grid.Vertical = grid.Horizontal
	p.Add(grid)
	// A margin keeps the first and the last point off the frame.
	margin := math.Max(0.5, 0.02*float64(h.Len()))
	p.X.Min, p.X.Max = 1-margin, float64(h.Len())+margin
	return p
}

// add draws what was measured of a column over the epochs 1, 2, ... With a
// glyph the points are joined across epochs that were not measured; without one
// such epochs leave a gap, and only points that stand alone get a dot.
func add(p *plot.Plot, name string, values history.Series, c color.Color, glyph draw.GlyphDrawer) {
	addStyled(p, name, values, draw.LineStyle{Color: c, Width: vg.Points(2)}, glyph)
}

func addStyled(p *plot.Plot, name string, values history.Series, drawn draw.LineStyle, glyph draw.GlyphDrawer) {
	var runs []plotter.XYs
	previous := -1
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if runs == nil || (glyph == nil && i != previous+1) {
			runs = append(runs, nil)
		}
		last := &runs[len(runs)-1]
		*last = append(*last, plotter.XY{X: float64(i + 1), Y: v})
		previous = i
	}
	var thumbs []plot.Thumbnailer
	for _, xys := range runs {
		line, err := plotter.NewLine(xys)
		if err != nil { // only for points that are not finite, and those are left out
			continue
		}
		line.LineStyle = drawn
		p.Add(line)
		thumbs = []plot.Thumbnailer{line}
		shape := glyph
		if shape == nil && len(xys) == 1 {
			shape = draw.CircleGlyph{}
		}
		if shape == nil {
			continue
		}
		if points, err := plotter.NewScatter(xys); err == nil {
			points.GlyphStyle = draw.GlyphStyle{Color: drawn.Color, Radius: vg.Points(3), Shape: shape}
			p.Add(points)
			thumbs = append(thumbs, points)
		}
	}
	if name != "" && thumbs != nil {
		p.Legend.Add(name, thumbs...)
	}
}

// widen gives every y axis a length: a flat curve would lie on the frame, and
// on the range of an empty panel gonum/plot searches for ticks for ever.
func widen(p *plot.Plot) {
	if !(p.Y.Min <= p.Y.Max) {
		p.Y.Min, p.Y.Max = 0, 1
	}
	room := 0.04 * (p.Y.Max - p.Y.Min)
	if room < 1e-9*math.Abs(p.Y.Max) || room == 0 {
		room = math.Max(0.05*math.Abs(p.Y.Max), 1e-6)
	}
	p.Y.Min, p.Y.Max = p.Y.Min-room, p.Y.Max+room
}

// ratePoints leaves out what a logarithmic axis cannot show.
func ratePoints(lr history.Series) history.Series {
	out := make(history.Series, len(lr))
	for i, v := range lr {
		out[i] = v
		if v <= 0 {
			out[i] = math.NaN()
		}
	}
	return out
}

// logarithmic turns the y axis of a finished panel into a logarithmic one that
// shows at least a factor of 4.5: 5, 10 and 20 are then labelled.
func logarithmic(p *plot.Plot) {
	if !(p.Y.Min > 0) || math.IsInf(p.Y.Min, 0) {
		p.Y.Min, p.Y.Max = 1e-6, 1e-3 // no rate was recorded: an empty, drawable axis
	}
	room := 1.2
	if ratio := p.Y.Max / p.Y.Min; ratio < 4.5 {
		room = math.Sqrt(4.5 / ratio)
	}
	p.Y.Min, p.Y.Max = p.Y.Min/room, p.Y.Max*room
	p.Y.Scale = plot.LogScale{}
	p.Y.Tick.Marker = decadeTicks{}
}

// render lays panels out in rows and encodes the picture.
func render(width, height int, panels [][]*plot.Plot) ([]byte, error) {
	const dpi = 100
	length := func(pixels int) vg.Length { return vg.Length(pixels) * vg.Inch / dpi }
	for _, row := range panels {
		for _, p := range row {
			if _, log := p.Y.Scale.(plot.LogScale); !log {
				widen(p)
			}
		}
	}
	canvas := vgimg.NewWith(vgimg.UseWH(length(width), length(height)), vgimg.UseDPI(dpi), vgimg.UseBackgroundColor(color.White))
	tiles := draw.Tiles{
		Rows: len(panels), Cols: len(panels[0]),
		PadX: vg.Points(18), PadY: vg.Points(16),
		PadTop: vg.Points(8), PadBottom: vg.Points(8), PadLeft: vg.Points(8), PadRight: vg.Points(14),
	}
	for i, row := range plot.Align(panels, tiles, draw.New(canvas)) {
		for j, c := range row {
			panels[i][j].Draw(c)
		}
	}
	var out bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: canvas}).WriteTo(&out); err != nil {
		return nil, fmt.Errorf("plots: %w", err)
	}
	return out.Bytes(), nil
}
