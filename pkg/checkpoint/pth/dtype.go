package pth

import (
	"encoding/binary"
	"fmt"
	"math"

	"rekindle/pkg/checkpoint/float16"
)

// DType is the type of a tensor's numbers.
type DType uint8

// The types that can be read and written.
const (
	Float32 DType = iota + 1
	Float64
	Float16  // IEEE 754 binary16
	BFloat16 // the upper half of a float32
	Int64
	Int32
	Int16
	Int8
	Uint8
	Bool // a byte, 0 or 1
)

var dtypes = [...]struct {
	name    string // PyTorch's dtype
	storage string // PyTorch's class for a block of such numbers
	size    int    // bytes of a number
}{
	Float32: {"float32", "FloatStorage", 4}, Float64: {"float64", "DoubleStorage", 8},
	Float16: {"float16", "HalfStorage", 2}, BFloat16: {"bfloat16", "BFloat16Storage", 2},
	Int64: {"int64", "LongStorage", 8}, Int32: {"int32", "IntStorage", 4}, Int16: {"int16", "ShortStorage", 2},
	Int8: {"int8", "CharStorage", 1}, Uint8: {"uint8", "ByteStorage", 1}, Bool: {"bool", "BoolStorage", 1},
}

func (d DType) valid() bool { return d > 0 && int(d) < len(dtypes) }

// String is PyTorch's name of the type, "float32".
func (d DType) String() string {
	if d.valid() {
		return dtypes[d].name
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// Size is how many bytes a number takes, 0 for a type that does not exist.
func (d DType) Size() int {
	if d.valid() {
		return dtypes[d].size
	}
	return 0
}

// IsFloat tells types of fractions from whole numbers and booleans.
func (d DType) IsFloat() bool { return d >= Float32 && d <= BFloat16 }

// floatsOf converts the little-endian numbers in b, which are of one of the
// fractional types, and returns how many there were.
func floatsOf[T float32 | float64](dst []T, d DType, b []byte) int {
	le, n := binary.LittleEndian, len(b)/d.Size()
	switch dst = dst[:n]; d {
	case Float32:
		for i := range dst {
			dst[i] = T(math.Float32frombits(le.Uint32(b[4*i:])))
		}
	case Float64:
		for i := range dst {
			dst[i] = T(math.Float64frombits(le.Uint64(b[8*i:])))
		}
	case Float16:
		for i := range dst {
			dst[i] = T(float16.Float32(le.Uint16(b[2*i:])))
		}
	case BFloat16:
		for i := range dst {
			dst[i] = T(math.Float32frombits(uint32(le.Uint16(b[2*i:])) << 16))
		}
	}
	return n
}

// wholesOf does the same for whole numbers and booleans.
func wholesOf(dst []int64, d DType, b []byte) int {
	le, n := binary.LittleEndian, len(b)/d.Size()
	switch dst = dst[:n]; d {
	case Int64:
		for i := range dst {
			dst[i] = int64(le.Uint64(b[8*i:]))
		}
	case Int32:
		for i := range dst {
			dst[i] = int64(int32(le.Uint32(b[4*i:])))
		}
	case Int16:
		for i := range dst {
			dst[i] = int64(int16(le.Uint16(b[2*i:])))
		}
	case Int8:
		for i := range dst {
			dst[i] = int64(int8(b[i]))
		}
	case Uint8, Bool:
		for i := range dst {
			dst[i] = int64(b[i])
		}
	}
	return n
}
