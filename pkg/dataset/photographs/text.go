package photographs

import (
	"fmt"
	"image"
	"image/color"
	"math/rand/v2"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

const letters = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 .,;:!?"

// text draws lines of letters in many sizes and colours on a gradient.
func text(w, h int, r *rand.Rand) (image.Image, error) {
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	var ends [2][3]float64
	for i := range ends {
		for c := range ends[i] {
			ends[i][c] = 255 * r.Float64()
		}
	}
	for y := range h {
		for x := range w {
			t := (float64(x)/float64(w) + float64(y)/float64(h)) / 2
			mixed := func(c int) uint8 { return uint8(ends[0][c] + t*(ends[1][c]-ends[0][c])) }
			out.SetRGBA(x, y, color.RGBA{mixed(0), mixed(1), mixed(2), 255})
		}
	}
	for range 40 {
		ttf := goregular.TTF
		if r.IntN(2) == 0 {
			ttf = gobold.TTF
		}
		parsed, err := opentype.Parse(ttf)
		if err != nil {
			return nil, fmt.Errorf("photographs: %w", err)
		}
		face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: 9 + 40*r.Float64()*r.Float64(), DPI: 72, Hinting: font.HintingNone})
		if err != nil {
			return nil, fmt.Errorf("photographs: %w", err)
		}
		var line []byte
		for range 4 + r.IntN(30) {
			line = append(line, letters[r.IntN(len(letters))])
		}
		ink := color.RGBA{uint8(r.IntN(256)), uint8(r.IntN(256)), uint8(r.IntN(256)), 255}
		d := font.Drawer{Dst: out, Src: image.NewUniform(ink), Face: face, Dot: fixed.P(r.IntN(w)-60, r.IntN(h))}
		d.DrawBytes(line)
	}
	return out, nil
}
