package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"rekindle/pkg/checkpoint/float16"
)

var (
	// ErrNotSafetensors is returned for a file that is something else.
	ErrNotSafetensors = errors.New("not a safetensors file")

	// ErrDamaged is returned for a file that is cut off or contradicts itself.
	ErrDamaged = errors.New("damaged safetensors file")
)

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(format, args...))
}

// maxHeader is the format's own limit for its header, 100 MB.
const maxHeader = 100_000_000

// maxRank is far above what any network has.
const maxRank = 64

// sizes is how many bytes a number of each type takes.
var sizes = map[string]int64{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1,
	"I16": 2, "U16": 2, "F16": 2, "BF16": 2,
	"I32": 4, "U32": 4, "F32": 4,
	"I64": 8, "U64": 8, "F64": 8,
}

// File is an open file of tensors. Their numbers are read when asked for;
// nothing is believed that the size of the file does not bear out.
//
//	f, err := safetensors.Open("vgg16.safetensors")
//	defer f.Close()
//	t, ok := f.Tensor("features.0.weight")
//	weights, err := t.Float32s()
type File struct {
	Metadata map[string]string // what the writer noted, may be nil

	file    *os.File
	names   []string // in the order of the numbers
	tensors map[string]*Tensor
}

// Tensor is an array of numbers in an open [File].
type Tensor struct {
	DType string // "F32", as in the file
	Shape []int  // empty for a single number

	file       io.ReaderAt
	start, end int64
}

// Open reads the header of a file and compares every place and shape in it with
// the size of the file. The error names the file and the reason; it is
// [ErrNotSafetensors], [ErrDamaged] or one of the operating system.
func Open(name string) (*File, error) {
	// Asked first, because opening a named pipe would wait for its other end.
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("safetensors: %s: %w: it is no regular file", name, ErrNotSafetensors)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	f := &File{file: file, tensors: map[string]*Tensor{}}
	if info, err = file.Stat(); err == nil {
		if err = f.parse(file, info.Size()); err == nil {
			return f, nil
		}
	}
	file.Close()
	return nil, fmt.Errorf("safetensors: %s: %w", name, err)
}

// Read is [Open] for bytes that lie elsewhere; there is nothing to close.
func Read(r io.ReaderAt, size int64) (*File, error) {
	f := &File{tensors: map[string]*Tensor{}}
	if err := f.parse(r, size); err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	return f, nil
}

// Close closes the file; tensors that were not read yet can no longer be.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// Names lists the tensors in the order of their numbers in the file.
func (f *File) Names() []string { return slices.Clone(f.names) }

// Tensor returns a tensor by name.
func (f *File) Tensor(name string) (*Tensor, bool) {
	t, ok := f.tensors[name]
	return t, ok
}

// parse reads the header: its length in eight bytes, then JSON.
func (f *File) parse(r io.ReaderAt, size int64) error {
	var head [9]byte
	if n, err := r.ReadAt(head[:], 0); n < len(head) {
		if err != nil && err != io.EOF {
			return err
		}
		return fmt.Errorf("%w: it has only %d bytes", ErrNotSafetensors, size)
	}
	length := binary.LittleEndian.Uint64(head[:8])
	if head[8] != '{' {
		return fmt.Errorf("%w: it does not begin like one", ErrNotSafetensors)
	}
	if length > maxHeader {
		return damaged("its header should take %d bytes, the format allows %d", length, maxHeader)
	}
	if int64(length) > size-8 {
		return damaged("its header should take %d bytes, the file has %d", length, size)
	}
	header := make([]byte, length)
	if _, err := r.ReadAt(header, 8); err != nil && err != io.EOF {
		return err
	}
	if err := f.entries(header, r, 8+int64(length)); err != nil {
		return err
	}
	return f.places(8+int64(length), size)
}

// entries reads the header's JSON. Package json takes the last of two equal
// keys; here they are an error, because other readers may take the first.
func (f *File) entries(header []byte, r io.ReaderAt, base int64) error {
	d := json.NewDecoder(bytes.NewReader(header))
	if _, err := d.Token(); err != nil {
		return damaged("its header is no JSON object: %w", err)
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return damaged("its header is no JSON object: %w", err)
		}
		name, _ := token.(string) // a key is always a string
		if f.tensors[name] != nil || name == "__metadata__" && f.Metadata != nil {
			return damaged("it describes %.100q twice", name)
		}
		if name == "__metadata__" {
			f.Metadata = map[string]string{}
			if err := d.Decode(&f.Metadata); err != nil {
				return damaged("its metadata are no texts: %w", err)
			}
			continue
		}
		var e struct {
			DType   string   `json:"dtype"`
			Shape   []int64  `json:"shape"`
			Offsets [2]int64 `json:"data_offsets"`
		}
		if err := d.Decode(&e); err != nil {
			return damaged("it describes %.100q wrongly: %w", name, err)
		}
		t := &Tensor{DType: e.DType, file: r, start: e.Offsets[0], end: e.Offsets[1]}
		if err := t.check(e.Shape); err != nil {
			return damaged("tensor %.100q %w", name, err)
		}
		t.start, t.end = base+t.start, base+t.end
		f.tensors[name] = t
		f.names = append(f.names, name)
	}
	if _, err := d.Token(); err != nil {
		return damaged("its header is no JSON object: %w", err)
	}
	return nil
}

// check compares type and shape with the bytes there are.
func (t *Tensor) check(shape []int64) error {
	width, ok := sizes[t.DType]
	if !ok {
		return fmt.Errorf("has the unknown type %.20q", t.DType)
	}
	if t.start < 0 || t.end < t.start || t.end > math.MaxInt64/2 {
		return fmt.Errorf("lies at %d to %d", t.start, t.end)
	}
	if len(shape) > maxRank {
		return fmt.Errorf("has %d dimensions", len(shape))
	}
	count := (t.end - t.start) / width
	n := int64(1)
	for _, d := range shape {
		if d < 0 || d > math.MaxInt32 || d > 0 && n > math.MaxInt64/d {
			return fmt.Errorf("has the impossible shape %v", shape)
		}
		n *= d
		t.Shape = append(t.Shape, int(d))
	}
	if n != count || count*width != t.end-t.start {
		return fmt.Errorf("has %d bytes, which is not what %s of shape %v takes", t.end-t.start, t.DType, shape)
	}
	return nil
}

// places checks that the tensors lie one after another and fill the file, as
// the format demands: there is room for nothing else, and none overlap.
func (f *File) places(base, size int64) error {
	slices.SortStableFunc(f.names, func(a, b string) int {
		x, y := f.tensors[a], f.tensors[b]
		if x.start != y.start {
			return int(min(max(x.start-y.start, -1), 1))
		}
		return int(min(max(x.end-y.end, -1), 1)) // an empty one first
	})
	at := base
	for _, name := range f.names {
		t := f.tensors[name]
		if t.start != at {
			return damaged("tensor %.100q does not begin where the one before it ends", name)
		}
		at = t.end
	}
	if at != size {
		return damaged("its tensors end at byte %d, the file at %d", at, size)
	}
	return nil
}

// Bytes returns the numbers as they are in the file: little-endian, row-major.
func (t *Tensor) Bytes() ([]byte, error) {
	out := make([]byte, t.end-t.start)
	if n, err := t.file.ReadAt(out, t.start); n < len(out) {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	return out, nil
}

// Float32s returns the numbers of a tensor of F32, F16, BF16 or F64; the last
// are rounded.
func (t *Tensor) Float32s() ([]float32, error) {
	raw, err := t.Bytes()
	if err != nil {
		return nil, err
	}
	out, le := make([]float32, int64(len(raw))/sizes[t.DType]), binary.LittleEndian
	for i := range out {
		switch t.DType {
		case "F32":
			out[i] = math.Float32frombits(le.Uint32(raw[4*i:]))
		case "F64":
			out[i] = float32(math.Float64frombits(le.Uint64(raw[8*i:])))
		case "BF16":
			out[i] = math.Float32frombits(uint32(le.Uint16(raw[2*i:])) << 16)
		case "F16":
			out[i] = float16.Float32(le.Uint16(raw[2*i:]))
		default:
			return nil, fmt.Errorf("safetensors: a tensor of %s cannot be read as float32", t.DType)
		}
	}
	return out, nil
}

// IsFloat reports whether [Tensor.Float32s] reads the tensor.
func (t *Tensor) IsFloat() bool {
	return t.DType == "F32" || t.DType == "F64" || t.DType == "F16" || t.DType == "BF16"
}

// IsWhole reports whether [Tensor.Int64s] reads the tensor.
func (t *Tensor) IsWhole() bool {
	switch t.DType {
	case "I64", "I32", "I16", "I8", "U32", "U16", "U8", "BOOL":
		return true
	}
	return false
}

// Int64s returns the numbers of a tensor of whole numbers or booleans (0, 1).
func (t *Tensor) Int64s() ([]int64, error) {
	if !t.IsWhole() {
		return nil, fmt.Errorf("safetensors: a tensor of %s cannot be read as int64", t.DType)
	}
	raw, err := t.Bytes()
	if err != nil {
		return nil, err
	}
	width := int(sizes[t.DType])
	out := make([]int64, len(raw)/width)
	for i := range out {
		var bits uint64
		for k := range width {
			bits |= uint64(raw[i*width+k]) << (8 * k)
		}
		if shift := 64 - 8*width; t.DType[0] == 'I' {
			out[i] = int64(bits<<shift) >> shift
		} else {
			out[i] = int64(bits)
		}
	}
	return out, nil
}
