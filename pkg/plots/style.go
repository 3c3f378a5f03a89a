package plots

import (
	"image/color"
	"math"
	"strconv"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Blue and orange can be told apart by people who do not see red and green.
var (
	trainColor = color.NRGBA{0x25, 0x63, 0xeb, 0xff}
	valColor   = color.NRGBA{0xea, 0x6a, 0x0c, 0xff}
	rateColor  = color.NRGBA{0x0d, 0x94, 0x6b, 0xff}
	bestColor  = color.NRGBA{0xb9, 0x1c, 0x1c, 0xff}
	gridColor  = color.NRGBA{0xdd, 0xe0, 0xe5, 0xff}
	inkColor   = color.NRGBA{0x1f, 0x29, 0x37, 0xff}
	quietColor = color.NRGBA{0x6b, 0x72, 0x80, 0xff}
)

var (
	plain = font.Font{Typeface: "Liberation", Variant: "Sans"}
	bold  = font.Font{Typeface: "Liberation", Variant: "Sans", Weight: xfont.WeightBold}
)

func style(p *plot.Plot) {
	p.Title.TextStyle.Font = font.From(bold, 13)
	p.Title.TextStyle.Color = inkColor
	p.Title.Padding = vg.Points(6)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font = font.From(plain, 11)
		axis.Label.TextStyle.Color = quietColor
		axis.Label.Padding = vg.Points(4)
		axis.Tick.Label.Font = font.From(plain, 10)
		axis.Tick.Label.Color = inkColor
		axis.Tick.LineStyle.Color, axis.LineStyle.Color = quietColor, quietColor
		axis.Padding = 0
	}
	p.Legend.TextStyle.Font = font.From(plain, 11)
	p.Legend.TextStyle.Color = inkColor
	p.Legend.Top = true
	p.Legend.Padding = vg.Points(3)
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(-6), vg.Points(-6)
	p.Legend.ThumbnailWidth = vg.Points(24)
}

// wholeTicks marks whole numbers only: there is no epoch 2.5.
type wholeTicks struct{}

func (wholeTicks) Ticks(min, max float64) []plot.Tick {
	const atMost = 10
	step := 1.0
	for i := 0; (max-min)/step > atMost; i++ {
		step *= []float64{2, 2.5, 2}[i%3] // 1, 2, 5, 10, 20, 50, ...
	}
	var ticks []plot.Tick
	for v := step * math.Ceil(min/step); v <= max; v += step {
		if v >= 1 {
			ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', -1, 64)})
		}
	}
	if step > 1 && min < 1 { // the first epoch is always labelled
		ticks = append(ticks, plot.Tick{Value: 1, Label: "1"})
	}
	return ticks
}

// roundTicks marks multiples of 1, 2 or 5 times a power of ten.
type roundTicks struct{}

func (roundTicks) Ticks(min, max float64) []plot.Tick {
	const atMost = 7
	exponent := math.Floor(math.Log10((max - min) / atMost))
	step := math.Pow(10, exponent)
	for i := 0; (max-min)/step > atMost; i++ {
		step *= []float64{2, 2.5, 2}[i%3]
	}
	// Digits behind the point that tell neighbouring ticks apart.
	digits := int(math.Max(0, -math.Floor(math.Log10(step)+1e-9)))
	var ticks []plot.Tick
	for i := math.Ceil(min / step); i*step <= max; i++ {
		v := i*step + 0 // what is rounded up to -0 is labelled 0
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', digits, 64)})
	}
	return ticks
}

// ring is a circle with a line that can be seen.
type ring struct{}

func (ring) DrawGlyph(c *draw.Canvas, style draw.GlyphStyle, at vg.Point) {
	var path vg.Path
	path.Move(vg.Point{X: at.X + style.Radius, Y: at.Y})
	path.Arc(at, style.Radius, 0, 2*math.Pi)
	path.Close()
	c.SetLineStyle(draw.LineStyle{Color: style.Color, Width: vg.Points(1.5)})
	c.Stroke(path)
}

// decadeTicks marks 1, 2, 5 of each power of ten while that is readable, else
// the powers alone, and the other multiples without a label.
type decadeTicks struct{}

func (decadeTicks) Ticks(min, max float64) []plot.Tick {
	first, last := int(math.Floor(math.Log10(min))), int(math.Ceil(math.Log10(max)))
	few := math.Log10(max/min) < 2.2
	var ticks []plot.Tick
	for exponent := first; exponent <= last; exponent++ {
		for digit := 1; digit <= 9; digit++ {
			text := strconv.Itoa(digit) + "e" + strconv.Itoa(exponent)
			v, _ := strconv.ParseFloat(text, 64) // digits and exponent were put together here
			if v < min || v > max {
				continue
			}
			label := ""
			if digit == 1 || few && (digit == 2 || digit == 5) {
				label = text
			}
			ticks = append(ticks, plot.Tick{Value: v, Label: label})
		}
	}
	return ticks
}
