package pth

import (
	"math"
	"strings"

	"rekindle/pkg/checkpoint/float16"
)

// numpyType is a numpy.dtype.
type numpyType struct {
	code string // "f8", "i4", "b1"
	big  bool   // the high byte comes first
}

// order takes the byte order from what BUILD sets: (version, "<", ...).
func (t *numpyType) order(state any) {
	if s, ok := state.(Tuple); ok && len(s) > 1 {
		t.big = s[1] == ">"
	}
}

// scalar is the number that numpy keeps as raw, or an Opaque if it is none that
// Go has, a complex one for example.
func (t *numpyType) scalar(raw any) any {
	var b []byte
	switch raw := raw.(type) {
	case []byte:
		b = raw
	case string: // Python 2
		if len(raw) <= 8 {
			b = []byte(raw)
		}
	case encoded:
		if len(raw) <= 16 { // up to 8 bytes, two each in UTF-8
			for _, r := range string(raw) {
				b = append(b, byte(r))
			}
		}
	}
	if len(b) == 0 || len(b) > 8 {
		return aNumpyScalar
	}
	var bits uint64
	for i, x := range b {
		if t.big {
			bits = bits<<8 | uint64(x)
		} else {
			bits |= uint64(x) << (8 * i)
		}
	}
	shift := 64 - 8*len(b)
	switch code := strings.TrimLeft(t.code, "<>=|"); {
	case code == "f8" && len(b) == 8:
		return math.Float64frombits(bits)
	case code == "f4" && len(b) == 4:
		return float64(math.Float32frombits(uint32(bits)))
	case code == "f2" && len(b) == 2:
		return float64(float16.Float32(uint16(bits)))
	case code == "b1" && len(b) == 1:
		return bits != 0
	case strings.HasPrefix(code, "i"):
		return int64(bits<<shift) >> shift
	case strings.HasPrefix(code, "u") && bits <= math.MaxInt64:
		return int64(bits)
	}
	return aNumpyScalar
}
