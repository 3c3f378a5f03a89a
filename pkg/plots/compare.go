package plots

import (
	"fmt"
	"image/color"
	"math"
	"rekindle/pkg/history"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Run is one experiment in a comparison.
type Run struct {
	Name    string
	History *history.History // may be empty
	Gain    float64          // dB of PSNR; NaN: not measured

	Color      int  // which one, see [Color]: each experiment has its own in all pictures
	Unfinished bool // its line is dashed
}

// Color is what the i-th run is drawn in.
func Color(i int) color.NRGBA { return palette[i%len(palette)] }

// palette tells up to eight runs apart, for colour-blind readers too (Okabe and
// Ito, "Color Universal Design", 2008); more runs repeat it with other marks.
var palette = []color.NRGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xe6, 0x9f, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0xd5, 0x5e, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x6b, 0x72, 0x80, 0xff}, {0xb8, 0xab, 0x12, 0xff},
}

// marks tell runs of the same colour apart.
var marks = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.PyramidGlyph{}}

func look(i int) (color.NRGBA, draw.GlyphDrawer) {
	return palette[i%len(palette)], marks[i/len(palette)%len(marks)]
}

// Compare draws the validation losses of runs over the epochs and, in the same
// colours, a bar for the PSNR that each gained. 1400 pixels wide.
func Compare(runs []Run) (png []byte, err error) {
	if len(runs) == 0 {
		return nil, fmt.Errorf("plots: %w: there is no experiment to compare", ErrEmpty)
	}
	height := max(460, 120+46*len(runs))
	return render(1400, height, [][]*plot.Plot{{losses(runs), gains(runs)}})
}

func losses(runs []Run) *plot.Plot {
	longest := &history.History{}
	for _, r := range runs {
		if r.History.Len() > longest.Len() {
			longest = r.History
		}
	}
	p := panel(longest, "Validation loss", "loss")
	for i, r := range runs {
		ink, mark := look(r.Color)
		line := draw.LineStyle{Color: ink, Width: vg.Points(2)}
		if r.Unfinished {
			line.Dashes = []vg.Length{vg.Points(6), vg.Points(3)}
		}
		addStyled(p, fmt.Sprint(i+1), r.History.ValLoss, line, mark)
	}
	return p
}

// gains has a line for each run, the first at the top.
func gains(runs []Run) *plot.Plot {
	p := plot.New()
	style(p)
	p.Title.Text = "PSNR gained by restoring"
	p.X.Label.Text = "dB"
	p.X.Tick.Marker = roundTicks{}
	b := bars{runs}
	p.Add(b)
	names := make([]string, len(runs))
	for i, r := range runs {
		names[len(runs)-1-i] = shorten(r.Name, 34)
	}
	p.NominalY(names...)
	p.Y.Tick.Label.Font.Size = vg.Points(11)
	if p.X.Min == p.X.Max { // nothing measured, or nothing gained
		p.X.Max = 1
	}
	room := 0.16 * (p.X.Max - p.X.Min) // for the numbers
	p.X.Max += room
	if p.X.Min < 0 {
		p.X.Min -= room
	}
	return p
}

// shorten leaves out the middle of a long name: what tells experiments apart is
// at its ends.
func shorten(name string, n int) string {
	letters := []rune(name)
	if len(letters) <= n {
		return name
	}
	return string(letters[:n/2]) + "…" + string(letters[len(letters)-(n-n/2-1):])
}

// bars draws a horizontal bar for each run, with its number at the end.
type bars struct{ runs []Run }

// at is the height at which run i is drawn.
func (b bars) at(i int) float64 { return float64(len(b.runs) - 1 - i) }

// Plot implements plot.Plotter.
func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	tx, ty := p.Transforms(&c)
	words := p.X.Tick.Label
	words.Font.Size = vg.Points(11)
	words.YAlign = draw.YCenter
	for i, r := range b.runs {
		y := ty(b.at(i))
		zero := tx(0)
		text, end := "not evaluated", zero
		ink, mark := look(r.Color)
		if !math.IsNaN(r.Gain) && !math.IsInf(r.Gain, 0) {
			text, end = fmt.Sprintf("%+.2f", r.Gain), tx(r.Gain)
			half := min((ty(1)-ty(0))*3/10, vg.Points(14))
			c.FillPolygon(ink, []vg.Point{{X: zero, Y: y - half}, {X: end, Y: y - half}, {X: end, Y: y + half}, {X: zero, Y: y + half}})
			if r.Color >= len(palette) {
				c.DrawGlyph(draw.GlyphStyle{Color: color.White, Radius: vg.Points(3), Shape: mark}, vg.Point{X: (zero + end) / 2, Y: y})
			}
		}
		words.XAlign, words.Color = draw.XLeft, inkColor
		gap := vg.Points(5)
		if end < zero {
			words.XAlign, gap = draw.XRight, -gap
		}
		if end == zero {
			words.Color = quietColor
			c.DrawGlyph(draw.GlyphStyle{Color: ink, Radius: vg.Points(5), Shape: mark}, vg.Point{X: end + vg.Points(9), Y: y})
			gap = vg.Points(20)
		}
		c.FillText(words, vg.Point{X: end + gap, Y: y}, text)
	}
	axis := draw.LineStyle{Color: quietColor, Width: vg.Points(1)}
	c.StrokeLine2(axis, tx(0), c.Min.Y, tx(0), c.Max.Y)
}

// DataRange implements plot.DataRanger.
func (b bars) DataRange() (xmin, xmax, ymin, ymax float64) {
	for _, r := range b.runs {
		if !math.IsNaN(r.Gain) && !math.IsInf(r.Gain, 0) {
			xmin, xmax = min(xmin, r.Gain), max(xmax, r.Gain)
		}
	}
	return xmin, xmax, -0.5, float64(len(b.runs)) - 0.5
}

var _ plot.DataRanger = bars{}
