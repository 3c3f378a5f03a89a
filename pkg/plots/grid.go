package plots

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"

	"golang.org/x/image/draw"
	xfont "golang.org/x/image/font"
	"golang.org/x/image/math/fixed"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/vg"

	"rekindle/pkg/rgb"
)

// Row is one line of a [Grid]. A title may have several lines, separated by
// "\n": the first is set in bold. Titles may be fewer than images.
type Row struct {
	Images []*rgb.Image
	Titles []string
}

const (
	gridWidth = 1040 // pixels, what a notebook shows without scaling on most screens
	largeCell = 500  // widest a picture is drawn
	gap       = 14
	lineSpace = 18 // from one line of a title to the next
)

// Grid draws pictures in rows, each under its title. Pictures larger than their
// cell are scaled down smoothly; smaller ones are enlarged by a whole factor
// without smoothing, so that single pixels can be seen.
func Grid(title string, rows []Row) (encoded []byte, err error) {
	columns := 0
	for _, row := range rows {
		columns = max(columns, len(row.Images))
	}
	if columns == 0 {
		return nil, fmt.Errorf("plots: %w: the grid %q has no pictures", ErrEmpty, title)
	}
	cell := min(largeCell, (gridWidth-gap*(columns+1))/columns)

	type placed struct {
		im   image.Image
		w, h int
		text []string
	}
	layout := make([][]placed, len(rows))
	textHeights, imageHeights := make([]int, len(rows)), make([]int, len(rows))
	width, height := 0, gap
	if title != "" {
		height += 30
	}
	for i, row := range rows {
		for j, im := range row.Images {
			w, h := fit(im.W, im.H, cell)
			p := placed{im: im.ToImage(), w: w, h: h}
			if j < len(row.Titles) && row.Titles[j] != "" {
				p.text = strings.Split(row.Titles[j], "\n")
			}
			layout[i] = append(layout[i], p)
			textHeights[i] = max(textHeights[i], len(p.text)*lineSpace)
			imageHeights[i] = max(imageHeights[i], h)
			width = max(width, w)
		}
		height += textHeights[i] + imageHeights[i] + gap
	}
	column := width // columns are as wide as the widest picture
	width = gap + columns*(column+gap)

	canvas := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(canvas, canvas.Bounds(), image.White, image.Point{}, draw.Src)
	y := gap
	if title != "" {
		write(canvas, bold, 17, inkColor, width/2, y+16, width-2*gap, title)
		y += 30
	}
	for i, row := range layout {
		for j, p := range row {
			middle := gap + j*(column+gap) + column/2
			for k, line := range p.text {
				face, ink := plain, color.Color(quietColor)
				if k == 0 {
					face, ink = bold, inkColor
				}
				// Titles stand on the picture, however many lines their neighbours have.
				base := y + textHeights[i] - (len(p.text)-k-1)*lineSpace - 6
				write(canvas, face, 13, ink, middle, base, column+gap-4, line)
			}
			at := image.Pt(middle-p.w/2, y+textHeights[i]+(imageHeights[i]-p.h)/2)
			var scaler draw.Scaler = draw.CatmullRom
			if p.w >= p.im.Bounds().Dx() {
				scaler = draw.NearestNeighbor
			}
			scaler.Scale(canvas, image.Rectangle{at, at.Add(image.Pt(p.w, p.h))}, p.im, p.im.Bounds(), draw.Src, nil)
		}
		y += textHeights[i] + imageHeights[i] + gap
	}
	var out bytes.Buffer
	if err := png.Encode(&out, canvas); err != nil {
		return nil, fmt.Errorf("plots: %w", err)
	}
	return out.Bytes(), nil
}

// fit returns the size at which a w by h picture is drawn in a cell.
func fit(w, h, cell int) (int, int) {
	if long := max(w, h); long > cell {
		return max(1, w*cell/long), max(1, h*cell/long)
	}
	factor := cell / max(w, h)
	return w * factor, h * factor
}

// fonts are those of the curves.
var fonts = font.NewCache(liberation.Collection())

// write draws one line of text centred at x on the base line y. Text wider than
// the room is shortened in its middle, where long file names matter least.
func write(dst draw.Image, f font.Font, pixels float64, ink color.Color, x, y, room int, text string) {
	cached := fonts.Lookup(f, vg.Points(pixels))
	face := cached.FontFace(72) // at 72 dots an inch a point is a pixel
	defer face.Close()
	letters := []rune(text)
	for keep := len(letters); xfont.MeasureString(face, text).Ceil() > room && keep > 2; keep-- {
		text = string(letters[:keep/2]) + "…" + string(letters[len(letters)-(keep-keep/2):])
	}
	drawer := xfont.Drawer{Dst: dst, Src: image.NewUniform(ink), Face: face}
	drawer.Dot = fixed.Point26_6{X: fixed.I(x) - drawer.MeasureString(text)/2, Y: fixed.I(y)}
	drawer.DrawString(text)
}
