package ipynb

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/draw"
)

const (
	pngType  = "image/png"
	jpegType = "image/jpeg"
)

// A photograph in a stored notebook has at most maxPicture bytes, and all of them
// maxPictures, if they can. One as wide as enoughWidth is not made narrower: its
// titles could not be read.
const (
	maxPicture  = 65_000
	maxPictures = 390_000
	enoughWidth = 720
)

// shrink encodes a picture anew for a page: curves and other drawings with all
// their sharpness as PNG, photographs as JPEG of limit bytes.
func shrink(encoded []byte, limit int) (small []byte, kind string, err error) {
	im, _, err := image.Decode(bytes.NewReader(encoded))
	if err != nil {
		return nil, "", err
	}
	if drawn := drawing(im); drawn != nil {
		var b bytes.Buffer
		encoder := png.Encoder{CompressionLevel: png.BestCompression}
		err := encoder.Encode(&b, drawn)
		return b.Bytes(), pngType, err
	}
	small, err = photograph(im, limit)
	return small, jpegType, err
}

// drawing returns a picture with 16 levels of red, green and blue, which cannot
// be told from the original where colours are flat. It returns nil for a
// picture that has more than 256 colours all the same, and so is a photograph.
func drawing(im image.Image) *image.Paletted {
	r := im.Bounds()
	out := image.NewPaletted(image.Rect(0, 0, r.Dx(), r.Dy()), nil)
	known := map[color.NRGBA]uint8{}
	for y := range r.Dy() {
		for x := range r.Dx() {
			c := color.NRGBAModel.Convert(im.At(r.Min.X+x, r.Min.Y+y)).(color.NRGBA)
			c = color.NRGBA{level(c.R), level(c.G), level(c.B), 255}
			i, found := known[c]
			if !found {
				if len(known) == 256 {
					return nil
				}
				i = uint8(len(known))
				known[c] = i
				out.Palette = append(out.Palette, c)
			}
			out.SetColorIndex(x, y, i)
		}
	}
	return out
}

func level(v uint8) uint8 { return uint8((int(v) + 8) / 17 * 17) }

// photograph encodes a picture as JPEG, narrower and then in lower quality as
// long as it is too large.
func photograph(im image.Image, limit int) ([]byte, error) {
	const lowest = 40
	for quality := 80; ; {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, im, &jpeg.Options{Quality: quality}); err != nil {
			return nil, err
		}
		w, h := im.Bounds().Dx(), im.Bounds().Dy()
		switch {
		case b.Len() <= limit || quality <= lowest && w <= enoughWidth:
			return b.Bytes(), nil
		case w > enoughWidth:
			narrow := max(enoughWidth, w*4/5)
			to := image.NewRGBA(image.Rect(0, 0, narrow, h*narrow/w))
			draw.CatmullRom.Scale(to, to.Rect, im, im.Bounds(), draw.Src, nil)
			im = to
		default:
			quality -= 10
		}
	}
}
