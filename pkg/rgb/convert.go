package rgb

import (
	"image"
	"image/color"

	"rekindle/pkg/picture"
)

// FromImage copies any picture of Go's image package. Grey values are repeated
// in the three channels, 16-bit values are rounded to the nearest of 8 bits,
// and transparency is dropped: a pixel keeps its own colour whatever its alpha.
func FromImage(src image.Image) *Image {
	b := src.Bounds()
	im := New(b.Dx(), b.Dy())
	row := fromAny
	switch src := src.(type) {
	case *image.RGBA:
		if src.Opaque() {
			row = fromRGBA
		}
	case *image.NRGBA:
		row = fromNRGBA
	case *image.Gray:
		row = fromGray
	case *image.YCbCr:
		row = fromYCbCr
	case *image.Paletted:
		row = fromPaletted
	}
	for y := range im.H {
		row(src, b.Min.X, b.Min.Y+y, im.Pix[y*im.W*3:(y+1)*im.W*3])
	}
	return im
}

// ToImage copies the picture into one of Go's image package, opaque.
func (im *Image) ToImage() image.Image {
	out := image.NewRGBA(image.Rect(0, 0, im.W, im.H))
	for i := range im.W * im.H {
		out.Pix[4*i] = im.Pix[3*i]
		out.Pix[4*i+1] = im.Pix[3*i+1]
		out.Pix[4*i+2] = im.Pix[3*i+2]
		out.Pix[4*i+3] = 255
	}
	return out
}

// The functions below write one row of src, from column x on, to dst.

func fromRGBA(src image.Image, x, y int, dst []uint8) {
	s := src.(*image.RGBA)
	copyRGBX(s.Pix[s.PixOffset(x, y):], dst)
}

func fromNRGBA(src image.Image, x, y int, dst []uint8) {
	s := src.(*image.NRGBA)
	copyRGBX(s.Pix[s.PixOffset(x, y):], dst)
}

func copyRGBX(pix, dst []uint8) {
	for i := 0; i < len(dst); i += 3 {
		dst[i], dst[i+1], dst[i+2] = pix[0], pix[1], pix[2]
		pix = pix[4:]
	}
}

func fromGray(src image.Image, x, y int, dst []uint8) {
	s := src.(*image.Gray)
	pix := s.Pix[s.PixOffset(x, y):]
	for i := range len(dst) / 3 {
		dst[3*i], dst[3*i+1], dst[3*i+2] = pix[i], pix[i], pix[i]
	}
}

func fromYCbCr(src image.Image, x, y int, dst []uint8) {
	s := src.(*image.YCbCr)
	for i := range len(dst) / 3 {
		luma, chroma := s.YOffset(x+i, y), s.COffset(x+i, y)
		dst[3*i], dst[3*i+1], dst[3*i+2] = color.YCbCrToRGB(s.Y[luma], s.Cb[chroma], s.Cr[chroma])
	}
}

func fromPaletted(src image.Image, x, y int, dst []uint8) {
	s := src.(*image.Paletted)
	for i := range len(dst) / 3 {
		putColor(dst[3*i:], s.At(x+i, y))
	}
}

func fromAny(src image.Image, x, y int, dst []uint8) {
	for i := range len(dst) / 3 {
		putColor(dst[3*i:], src.At(x+i, y))
	}
}

func putColor(dst []uint8, c color.Color) {
	if c, ok := c.(color.NRGBA); ok { // the models go through alpha, which would blacken what is transparent
		dst[0], dst[1], dst[2] = c.R, c.G, c.B
		return
	}
	n := color.NRGBA64Model.Convert(c).(color.NRGBA64)
	dst[0], dst[1], dst[2] = picture.Narrow(n.R), picture.Narrow(n.G), picture.Narrow(n.B)
}
