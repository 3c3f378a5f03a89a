package rgb

import (
	"bytes"
	"encoding/binary"
)

// turn is the EXIF tag Orientation (CIPA DC-008, tag 0x0112): which way round
// the camera stored the picture. 1 is upright, also when nothing is said.
type turn uint16

const upright turn = 1

func (t turn) swapsSides() bool { return t >= 5 }

// upright returns the picture as it is meant to be seen.
func (t turn) upright(im *Image) *Image {
	if t <= upright || t > 8 {
		return im
	}
	w, h := im.W, im.H
	if t.swapsSides() {
		w, h = h, w
	}
	out := New(w, h)
	for y := range h {
		for x := range w {
			// Where the pixel seen at (x, y) was stored.
			sx, sy := x, y
			if t.swapsSides() {
				sx, sy = y, x
			}
			switch t {
			case 2, 3, 7, 8:
				sx = im.W - 1 - sx
			}
			switch t {
			case 3, 4, 6, 7:
				sy = im.H - 1 - sy
			}
			copy(out.Pix[(y*w+x)*3:][:3], im.Pix[(sy*im.W+sx)*3:][:3])
		}
	}
	return out
}

// orientation looks for the tag in a JPEG file's APP1 segment. Anything
// unexpected means upright: a strange tag must not make a picture unreadable.
func orientation(data []byte) turn {
	if !isJPEG(data) {
		return upright
	}
	for at := 2; at+4 <= len(data) && data[at] == 0xFF; {
		marker := data[at+1]
		if marker == 0xDA || marker == 0xD9 { // start of scan, end of image
			break
		}
		size := int(binary.BigEndian.Uint16(data[at+2:]))
		end := at + 2 + size
		if size < 2 || end > len(data) {
			break
		}
		body := data[at+4 : end]
		if marker == 0xE1 && bytes.HasPrefix(body, []byte("Exif\x00\x00")) {
			return tiffOrientation(body[6:])
		}
		at = end
	}
	return upright
}

// tiffOrientation reads the tag from the first directory of a TIFF structure.
func tiffOrientation(t []byte) turn {
	if len(t) < 8 {
		return upright
	}
	var order binary.ByteOrder = binary.LittleEndian
	if t[0] == 'M' {
		order = binary.BigEndian
	}
	at := int(order.Uint32(t[4:]))
	if at < 8 || at+2 > len(t) {
		return upright
	}
	entries := int(order.Uint16(t[at:]))
	for i := range entries {
		e := at + 2 + 12*i // an entry has 12 bytes: tag, type, count, value
		if e+12 > len(t) {
			break
		}
		if order.Uint16(t[e:]) == 0x0112 {
			if v := turn(order.Uint16(t[e+8:])); v >= 1 && v <= 8 {
				return v
			}
			break
		}
	}
	return upright
}
