package picture

import (
	"image"
	"image/color"
)

// InfoOf describes a picture of Go's image package. One without transparent
// pixels has no alpha.
func InfoOf(src image.Image) Info {
	b := src.Bounds()
	i := Info{W: b.Dx(), H: b.Dy(), Alpha: true}
	if o, ok := src.(interface{ Opaque() bool }); ok {
		i.Alpha = !o.Opaque()
	}
	switch src := src.(type) {
	case *image.Gray:
		i.Gray = true
	case *image.Gray16:
		i.Gray, i.Deep = true, true
	case *image.RGBA64, *image.NRGBA64:
		i.Deep = true
	case *image.Paletted:
		i.Gray = !i.Alpha
		for _, c := range src.Palette {
			r, g, b, _ := c.RGBA()
			i.Gray = i.Gray && r == g && g == b
		}
	}
	return i
}

// sampler returns what writes the samples of the pixel at column x, row y, both
// from 0, of a picture that [InfoOf] describes as i.
func sampler(src image.Image, i Info) func(x, y int, dst []uint16) {
	at := src.Bounds().Min
	switch src := src.(type) {
	case *image.Gray:
		return func(x, y int, dst []uint16) { dst[0] = wide(src.Pix[src.PixOffset(at.X+x, at.Y+y)]) }
	case *image.Gray16:
		return func(x, y int, dst []uint16) { dst[0] = src.Gray16At(at.X+x, at.Y+y).Y }
	case *image.YCbCr:
		return func(x, y int, dst []uint16) {
			luma, chroma := src.YOffset(at.X+x, at.Y+y), src.COffset(at.X+x, at.Y+y)
			r, g, b := color.YCbCrToRGB(src.Y[luma], src.Cb[chroma], src.Cr[chroma])
			dst[0], dst[1], dst[2] = wide(r), wide(g), wide(b)
		}
	case *image.RGBA:
		if !i.Alpha {
			return func(x, y int, dst []uint16) {
				p := src.Pix[src.PixOffset(at.X+x, at.Y+y):]
				dst[0], dst[1], dst[2] = wide(p[0]), wide(p[1]), wide(p[2])
			}
		}
	case *image.NRGBA:
		return func(x, y int, dst []uint16) {
			p := src.Pix[src.PixOffset(at.X+x, at.Y+y):]
			for c := range dst {
				dst[c] = wide(p[c])
			}
		}
	case *image.NRGBA64:
		return func(x, y int, dst []uint16) {
			p := src.Pix[src.PixOffset(at.X+x, at.Y+y):]
			for c := range dst {
				dst[c] = uint16(p[2*c])<<8 | uint16(p[2*c+1])
			}
		}
	}
	return func(x, y int, dst []uint16) { put(src.At(at.X+x, at.Y+y), i, dst) }
}

// put writes any colour. Those not multiplied by alpha are taken as they are: the
// way through Go's RGBA would blacken what is transparent.
func put(c color.Color, i Info, dst []uint16) {
	var n color.NRGBA64
	switch c := c.(type) {
	case color.NRGBA:
		n = color.NRGBA64{wide(c.R), wide(c.G), wide(c.B), wide(c.A)}
	default:
		n = color.NRGBA64Model.Convert(c).(color.NRGBA64)
		if !i.Deep { // dividing by alpha leaves values between those of 8 bits
			n = color.NRGBA64{wide(Narrow(n.R)), wide(Narrow(n.G)), wide(Narrow(n.B)), n.A}
		}
	}
	copy(dst, []uint16{n.R, n.G, n.B}[:i.Colours()])
	if i.Alpha {
		dst[i.Colours()] = n.A
	}
}

// wide makes 16 bits of 8: 0 stays, 255 becomes 65535.
func wide(v uint8) uint16 { return 257 * uint16(v) }

// Narrow makes 8 bits of 16, the nearest.
func Narrow(v uint16) uint8 { return uint8((uint32(v) + 128) / 257) }

// Image returns a black picture of Go's image package of the kind that i
// describes: Gray, Gray16, or, with and without alpha, NRGBA and NRGBA64 or RGBA
// and RGBA64. put writes n rows, from row y on.
func (i Info) Image() (im image.Image, put func(y int, rows []uint16)) {
	bounds := image.Rect(0, 0, i.W, i.H)
	var pix []uint8
	size := 4
	switch {
	case i.Gray && !i.Alpha && i.Deep:
		m := image.NewGray16(bounds)
		im, pix, size = m, m.Pix, 1
	case i.Gray && !i.Alpha:
		m := image.NewGray(bounds)
		im, pix, size = m, m.Pix, 1
	case i.Alpha && i.Deep:
		m := image.NewNRGBA64(bounds)
		im, pix = m, m.Pix
	case i.Alpha:
		m := image.NewNRGBA(bounds)
		im, pix = m, m.Pix
	case i.Deep:
		m := image.NewRGBA64(bounds)
		im, pix = m, m.Pix
	default:
		m := image.NewRGBA(bounds)
		im, pix = m, m.Pix
	}
	ch := i.Channels()
	return im, func(y int, rows []uint16) {
		at := y * i.W * size
		for from := 0; from < len(rows); from, at = from+ch, at+size {
			sample := i.rgba(rows[from:])
			for c, v := range sample[:size] {
				if i.Deep {
					pix[2*(at+c)], pix[2*(at+c)+1] = uint8(v>>8), uint8(v)
				} else {
					pix[at+c] = Narrow(v)
				}
			}
		}
	}
}

// rgba is a pixel with all four samples.
func (i Info) rgba(p []uint16) [4]uint16 {
	out := [4]uint16{p[0], p[0], p[0], 0xFFFF}
	if !i.Gray {
		out[1], out[2] = p[1], p[2]
	}
	if i.Alpha {
		out[3] = p[i.Colours()]
	}
	return out
}

// rowsOf reads a picture of Go's image package, turned, from its first row on.
func rowsOf(src image.Image, i Info, t Turn) func(rows []uint16) error {
	b := src.Bounds()
	sample, ch, next := sampler(src, i), i.Channels(), 0
	return func(rows []uint16) error {
		for len(rows) > 0 {
			for x := range i.W {
				sx, sy := t.Stored(x, next, b.Dx(), b.Dy())
				sample(sx, sy, rows[x*ch:(x+1)*ch])
			}
			rows, next = rows[i.W*ch:], next+1
		}
		return nil
	}
}

// Of reads a picture of Go's image package.
func Of(src image.Image) *Reader {
	i := InfoOf(src)
	return &Reader{Info: i, rows: rowsOf(src, i, Upright)}
}
