package picture

import "encoding/binary"

// Turn is the EXIF tag Orientation (CIPA DC-008, tag 0x0112): which way round a
// picture is stored. 1 is upright, also when nothing is said.
type Turn uint16

// Upright is the orientation of a picture that is stored as it is seen.
const Upright Turn = 1

// SwapsSides says whether the stored picture's width is the seen one's height.
func (t Turn) SwapsSides() bool { return t >= 5 && t <= 8 }

// Stored is where the pixel seen at column x, row y of a picture is in the stored
// one, which is w wide and h high.
func (t Turn) Stored(x, y, w, h int) (sx, sy int) {
	sx, sy = x, y
	if t.SwapsSides() {
		sx, sy = y, x
	}
	switch t {
	case 2, 3, 7, 8:
		sx = w - 1 - sx
	}
	switch t {
	case 3, 4, 6, 7:
		sy = h - 1 - sy
	}
	return sx, sy
}

const orientationTag = 0x0112

// turnOf reads the tag from the first directory of a TIFF structure, as EXIF is
// one. Anything unexpected means upright: a strange tag must not make a picture
// unreadable.
func turnOf(t []byte) Turn {
	order, at := orientationAt(t)
	if at < 0 {
		return Upright
	}
	return turnValue(order.Uint16(t[at:]))
}

func turnValue(v uint16) Turn {
	if v >= 1 && v <= 8 {
		return Turn(v)
	}
	return Upright
}

// uprighted is a copy of a TIFF structure whose orientation is 1.
func uprighted(t []byte) []byte {
	t = append([]byte(nil), t...)
	if order, at := orientationAt(t); at >= 0 {
		order.PutUint16(t[at:], uint16(Upright))
	}
	return t
}

// orientationAt is where the tag's value stands, -1 if there is none.
func orientationAt(t []byte) (binary.ByteOrder, int) {
	if len(t) < 8 {
		return nil, -1
	}
	var order binary.ByteOrder = binary.LittleEndian
	if t[0] == 'M' {
		order = binary.BigEndian
	}
	at := int(order.Uint32(t[4:]))
	if at < 8 || at+2 > len(t) {
		return nil, -1
	}
	for i := range int(order.Uint16(t[at:])) {
		e := at + 2 + 12*i // an entry has 12 bytes: tag, type, count, value
		if e+12 > len(t) {
			break
		}
		if order.Uint16(t[e:]) == orientationTag {
			return order, e + 8
		}
	}
	return nil, -1
}
