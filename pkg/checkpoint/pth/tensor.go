package pth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"unsafe"
)

// maxRank is PyTorch's own limit of dimensions.
const maxRank = 64

// Tensor is an array of numbers: in memory when it was made here, still in the
// file when it was read. Tensors of one open [File] can be read by several
// goroutines at once.
type Tensor struct {
	DType DType
	Shape []int // empty for a single number

	raw    []byte // in memory, row-major
	native bool   // raw is a view of Go's numbers, in the byte order of the machine
	view   *view  // in a file
}

// view is where in a storage the numbers of a tensor lie.
type view struct {
	*storage
	offset  int   // of the first, in numbers
	strides []int // in numbers
	count   int
}

// FromFloat32 makes a tensor of the given shape; without a shape it is a single
// number. The data is not copied: it must stay unchanged until it is saved.
func FromFloat32(data []float32, shape ...int) *Tensor {
	return &Tensor{DType: Float32, Shape: shape, raw: bytesOf(data), native: true}
}

// FromInt64 makes a tensor of int64 in the same way.
func FromInt64(data []int64, shape ...int) *Tensor {
	return &Tensor{DType: Int64, Shape: shape, raw: bytesOf(data), native: true}
}

// FromBytes makes a tensor of any type from its little-endian row-major bytes,
// in the same way.
func FromBytes(dtype DType, raw []byte, shape ...int) *Tensor {
	return &Tensor{DType: dtype, Shape: shape, raw: raw}
}

// Len is how many numbers the tensor has.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// check compares type and shape with the numbers there are.
func (t *Tensor) check() error {
	if !t.DType.valid() {
		return fmt.Errorf("a tensor of the unknown type %v", t.DType)
	}
	have := len(t.raw) / t.DType.Size()
	if t.view != nil {
		have = t.view.count
	}
	n, err := product(t.Shape)
	if err == nil && (n != have || t.view == nil && len(t.raw)%t.DType.Size() != 0 || t.view != nil && t.view.dtype != t.DType) {
		err = fmt.Errorf("it has %d numbers, want %d", have, n)
	}
	if err != nil {
		return fmt.Errorf("a tensor of %v with shape %v: %w", t.DType, t.Shape, err)
	}
	return nil
}

// product is how many numbers a shape describes.
func product(shape []int) (int, error) {
	if len(shape) > maxRank {
		return 0, fmt.Errorf("more than %d dimensions", maxRank)
	}
	n := 1
	for _, d := range shape {
		if d < 0 {
			return 0, errors.New("a negative size")
		}
		if d > 0 && n > math.MaxInt/d {
			return 0, errors.New("more numbers than can be counted")
		}
		n *= d
	}
	return n, nil
}

// Float32s returns the numbers in row-major order, narrowed or widened to
// float32. Tensors of whole numbers are an error.
func (t *Tensor) Float32s() ([]float32, error) {
	return fresh(t, t.ReadFloat32s)
}

// ReadFloat32s does the same into dst, which must have the length of the tensor.
// Float32 numbers go from the file into dst with nothing in between.
func (t *Tensor) ReadFloat32s(dst []float32) error {
	return readInto(t, dst, Float32, t.DType.IsFloat(), floatsOf[float32])
}

// Float64s returns the numbers of a tensor of fractions, exactly.
func (t *Tensor) Float64s() ([]float64, error) {
	return fresh(t, func(dst []float64) error {
		return readInto(t, dst, Float64, t.DType.IsFloat(), floatsOf[float64])
	})
}

// Int64s returns the numbers of a tensor of whole numbers or booleans (0, 1).
func (t *Tensor) Int64s() ([]int64, error) {
	return fresh(t, func(dst []int64) error {
		return readInto(t, dst, Int64, !t.DType.IsFloat(), wholesOf)
	})
}

// Bytes returns the numbers of any type as they are in a file: little-endian,
// row-major.
func (t *Tensor) Bytes() ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("pth: %w", err)
	}
	out := make([]byte, 0, t.Len()*t.DType.Size())
	err := t.stream(func(b []byte) error {
		out = append(out, b...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("pth: %w", err)
	}
	return out, nil
}

func fresh[T any](t *Tensor, read func([]T) error) ([]T, error) {
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("pth: %w", err)
	}
	out := make([]T, t.Len())
	if err := read(out); err != nil {
		return nil, err
	}
	return out, nil
}

// readInto reads numbers that are of type same directly, others through convert.
func readInto[T float32 | float64 | int64](t *Tensor, dst []T, same DType, fits bool, convert func([]T, DType, []byte) int) error {
	if err := t.check(); err != nil {
		return fmt.Errorf("pth: %w", err)
	}
	if !fits {
		return fmt.Errorf("pth: a tensor of %v cannot be read as %v", t.DType, same)
	}
	if len(dst) != t.Len() {
		return fmt.Errorf("pth: a tensor of shape %v has %d numbers, the slice it is read into %d", t.Shape, t.Len(), len(dst))
	}
	if t.DType == same {
		if t.view == nil && t.native {
			copy(bytesOf(dst), t.raw)
			return nil
		}
		if t.view != nil && t.contiguous() {
			first := int64(t.view.offset * same.Size())
			if err := t.view.read(first, first+int64(len(dst)*same.Size()), bytesOf(dst), nil); err != nil {
				return fmt.Errorf("pth: %w", err)
			}
			toNative(bytesOf(dst), same.Size(), nativeIsLittle)
			return nil
		}
	}
	done := 0
	err := t.stream(func(b []byte) error {
		done += convert(dst[done:], t.DType, b)
		return nil
	})
	if err != nil {
		return fmt.Errorf("pth: %w", err)
	}
	return nil
}

func (t *Tensor) contiguous() bool {
	stride := 1
	for i := len(t.Shape) - 1; i >= 0; i-- {
		if t.Shape[i] != 1 && t.view.strides[i] != stride {
			return false
		}
		stride *= t.Shape[i]
	}
	return true
}

// stream gives the little-endian bytes of the tensor in row-major order, in
// pieces of whole numbers which are valid only during the call.
func (t *Tensor) stream(use func([]byte) error) error {
	size := t.DType.Size()
	switch {
	case t.view == nil && (!t.native || nativeIsLittle):
		return use(t.raw)
	case t.view == nil:
		for piece := range slices.Chunk(t.raw, pieceSize) {
			piece = slices.Clone(piece)
			toNative(piece, size, false)
			if err := use(piece); err != nil {
				return err
			}
		}
		return nil
	case t.Len() == 0:
		return nil
	case t.contiguous():
		first := int64(t.view.offset * size)
		return t.view.read(first, first+int64(t.Len()*size), nil, use)
	}
	return t.gather(use)
}

// gather streams a tensor whose numbers do not lie in order. The stretch of the
// storage that they lie in is held in memory meanwhile.
func (t *Tensor) gather(use func([]byte) error) error {
	v, size := t.view, t.DType.Size()
	span := 1
	for i, d := range t.Shape {
		span += (d - 1) * v.strides[i]
	}
	raw := make([]byte, span*size)
	first := int64(v.offset * size)
	if err := v.read(first, first+int64(len(raw)), raw, nil); err != nil {
		return err
	}
	out := make([]byte, 0, min(pieceSize, v.count*size))
	index := make([]int, len(t.Shape))
	for at := 0; ; {
		if len(out)+size > cap(out) {
			if err := use(out); err != nil {
				return err
			}
			out = out[:0]
		}
		out = append(out, raw[at*size:(at+1)*size]...)
		axis := len(index) - 1
		for ; axis >= 0; axis-- {
			at += v.strides[axis]
			if index[axis]++; index[axis] < t.Shape[axis] {
				break
			}
			at -= v.strides[axis] * t.Shape[axis]
			index[axis] = 0
		}
		if axis < 0 {
			return use(out)
		}
	}
}

var nativeIsLittle = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// bytesOf views numbers as the bytes they are made of.
func bytesOf[T float32 | float64 | int64](data []T) []byte {
	if len(data) == 0 {
		return nil
	}
	var v T
	return unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), len(data)*int(unsafe.Sizeof(v)))
}

// toNative turns little-endian numbers of size bytes into the machine's order,
// or back: nothing on little-endian machines.
func toNative(raw []byte, size int, little bool) {
	if little {
		return
	}
	for ; len(raw) >= size; raw = raw[size:] {
		slices.Reverse(raw[:size])
	}
}
