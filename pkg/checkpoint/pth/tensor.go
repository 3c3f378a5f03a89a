package pth

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"unsafe"
)

// Tensor is an array of numbers: in memory when it was made by FromFloat32 or
// FromInt64, still in the file when it was read.
type Tensor struct {
	DType DType
	Shape []int // empty for a single number

	raw     []byte // in memory, little-endian, row-major
	strides []int  // of a tensor in a file, in numbers
	offset  int
	storage *storage
}

// storage is the block of numbers in a file that tensors are views of.
type storage struct {
	dtype DType
	numel int
	open  func() (io.ReadCloser, error) // from its first byte; verifies what it can at the end
}

// FromFloat32 makes a tensor of the given shape; without a shape it is a single
// number. The data is not copied.
func FromFloat32(data []float32, shape ...int) *Tensor {
	return &Tensor{DType: Float32, Shape: shape, raw: littleEndian(data)}
}

// FromInt64 makes a tensor of int64.
func FromInt64(data []int64, shape ...int) *Tensor {
	return &Tensor{DType: Int64, Shape: shape, raw: littleEndian(data)}
}

// Len is how many numbers the tensor has.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Float32s returns the numbers in row-major order, narrowed or widened to
// float32. Tensors of whole numbers are an error.
func (t *Tensor) Float32s() ([]float32, error) {
	if t.DType == Float32 && t.whole() {
		out := make([]float32, t.Len())
		return out, t.readWhole(bytesOf(out), func() { fixOrder(out) })
	}
	return read(t, func(b []byte) (float32, error) {
		switch le := binary.LittleEndian; t.DType {
		case Float32:
			return math.Float32frombits(le.Uint32(b)), nil
		case Float64:
			return float32(math.Float64frombits(le.Uint64(b))), nil
		case BFloat16:
			return math.Float32frombits(uint32(le.Uint16(b)) << 16), nil
		case Float16:
			return half(le.Uint16(b)), nil
		}
		return 0, fmt.Errorf("pth: a tensor of %v holds no fractions", t.DType)
	})
}

// Int64s returns the numbers of a tensor of whole numbers or booleans.
func (t *Tensor) Int64s() ([]int64, error) {
	return read(t, func(b []byte) (int64, error) {
		switch le := binary.LittleEndian; t.DType {
		case Int64:
			return int64(le.Uint64(b)), nil
		case Int32:
			return int64(int32(le.Uint32(b))), nil
		case Int16:
			return int64(int16(le.Uint16(b))), nil
		case Int8:
			return int64(int8(b[0])), nil
		case Uint8, Bool:
			return int64(b[0]), nil
		}
		return 0, fmt.Errorf("pth: a tensor of %v holds no whole numbers", t.DType)
	})
}

// whole reports whether the tensor is its storage from first to last number, in order.
func (t *Tensor) whole() bool {
	return t.storage == nil || t.offset == 0 && t.Len() == t.storage.numel && t.contiguous()
}

func (t *Tensor) contiguous() bool {
	stride := 1
	for i := len(t.Shape) - 1; i >= 0; i-- {
		if t.Shape[i] != 1 && t.strides[i] != stride {
			return false
		}
		stride *= t.Shape[i]
	}
	return true
}

// readWhole fills b with the bytes of the storage.
func (t *Tensor) readWhole(b []byte, fix func()) error {
	if t.storage == nil {
		copy(b, t.raw)
		fix()
		return nil
	}
	r, err := t.storage.open()
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.ReadFull(r, b); err != nil {
		return fmt.Errorf("pth: a tensor is cut off: %w", err)
	}
	// The reader compares the checksum when it meets the end.
	if _, err := r.Read(make([]byte, 1)); err != nil && err != io.EOF {
		return fmt.Errorf("pth: a tensor's bytes were changed: %w", err)
	}
	fix()
	return nil
}

// read converts number by number, in row-major order of the view.
func read[T any](t *Tensor, number func([]byte) (T, error)) ([]T, error) {
	size := dtypes[t.DType].size
	raw := t.raw
	if t.storage != nil {
		raw = make([]byte, t.storage.numel*size)
		if err := t.readWhole(raw, func() {}); err != nil {
			return nil, err
		}
	}
	out := make([]T, 0, t.Len())
	if t.Len() == 0 {
		return out, nil
	}
	index := make([]int, len(t.Shape))
	for {
		at := len(out)
		if t.storage != nil {
			at = t.offset
			for i, v := range index {
				at += v * t.strides[i]
			}
		}
		v, err := number(raw[at*size : (at+1)*size])
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		axis := len(index) - 1
		for ; axis >= 0; axis-- {
			if index[axis]++; index[axis] < t.Shape[axis] {
				break
			}
			index[axis] = 0
		}
		if axis < 0 {
			return out, nil
		}
	}
}

// half widens an IEEE 754 binary16.
func half(h uint16) float32 {
	sign, exponent, mantissa := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exponent {
	case 0: // zero and subnormal: mantissa * 2^-24
		v := float32(mantissa) / (1 << 24)
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 31:
		return math.Float32frombits(sign | 0xff<<23 | mantissa<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | mantissa<<13)
}

var nativeIsLittle = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

func bytesOf[T float32 | int64](data []T) []byte {
	if len(data) == 0 {
		return nil
	}
	var v T
	return unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), len(data)*int(unsafe.Sizeof(v)))
}

// littleEndian views the numbers as the bytes of a file, copying them only on
// machines of the other byte order.
func littleEndian[T float32 | int64](data []T) []byte {
	if nativeIsLittle {
		return bytesOf(data)
	}
	out, _ := binary.Append(nil, binary.LittleEndian, data)
	return out
}

// fixOrder turns little-endian bytes that were read into data into numbers.
func fixOrder(data []float32) {
	if nativeIsLittle {
		return
	}
	raw := bytesOf(data)
	for i := range data {
		data[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
}
