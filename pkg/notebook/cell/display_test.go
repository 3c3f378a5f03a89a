package cell

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"testing"
)

// encodePNG draws a picture of 600 x 600 pixels.
func encodePNG(t *testing.T, at func(x, y int) color.Color) []byte {
	t.Helper()
	im := image.NewRGBA(image.Rect(0, 0, 600, 600))
	for y := range 600 {
		for x := range 600 {
			im.Set(x, y, at(x, y))
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestOnlyLargePhotographsAreShownAsJPEG(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	noise := encodePNG(t, func(x, y int) color.Color {
		v := uint8(100 + r.IntN(60))
		return color.RGBA{v, uint8(x / 3), v / 2, 255}
	})
	photo := asPhoto(noise)
	im, err := jpeg.Decode(bytes.NewReader(photo))
	if err != nil || im.Bounds().Dx() != 600 || len(photo) > len(noise)/2 {
		t.Errorf("%d bytes of noise became %d (%v), want a JPEG of the same size in pixels and at most half the bytes", len(noise), len(photo), err)
	}
	if drawing := encodePNG(t, func(x, y int) color.Color { return color.Gray{uint8(x / 100 * 40)} }); asPhoto(drawing) != nil {
		t.Errorf("a drawing of %d bytes became JPEG", len(drawing))
	}
	if asPhoto(make([]byte, largePNG)) != nil {
		t.Error("what is no PNG became JPEG")
	}
}
