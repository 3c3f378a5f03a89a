package pth

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"

	"rekindle/pkg/durable"
)

// root is the folder inside the archive; PyTorch takes any name.
const root = "archive"

// alignment of each tensor's first byte in the file, as PyTorch has it, so
// that files can be mapped into memory.
const alignment = 64

// Save writes v as a file that torch.load opens, also with weights_only=True:
// all or nothing, flushed to the disk. Tensors go straight from their memory to
// the file.
func Save(path string, v any) error {
	f, err := durable.Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := Write(f, v); err != nil {
		return err
	}
	return f.Commit()
}

// Write writes the same bytes to w.
func Write(w io.Writer, v any) error {
	p := &pickler{}
	if err := p.pickle(v); err != nil {
		return err
	}
	counter := &countingWriter{w: w}
	archive := zip.NewWriter(counter)
	descriptor := int64(0) // bytes that the archive still owes behind the entry before
	entry := func(name string, data []byte) error {
		if err := archive.Flush(); err != nil {
			return err
		}
		header := &zip.FileHeader{Name: root + "/" + name, Method: zip.Store}
		// A local header is 30 bytes and the name; the padding sits in an extra
		// field of its own with the tag that PyTorch uses.
		start := counter.n + descriptor + 30 + int64(len(header.Name)) + 4
		padding := int((alignment - start%alignment) % alignment)
		header.Extra = append([]byte{'F', 'B', byte(padding), 0}, make([]byte, padding)...)
		to, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if descriptor = 16; int64(len(data)) >= math.MaxUint32 {
			descriptor = 24
		}
		_, err = to.Write(data)
		return err
	}
	if err := entry("data.pkl", p.out); err != nil {
		return err
	}
	if err := entry("byteorder", []byte("little")); err != nil {
		return err
	}
	for i, t := range p.tensors {
		if err := entry("data/"+strconv.Itoa(i), t.raw); err != nil {
			return err
		}
	}
	if err := entry("version", []byte("3\n")); err != nil {
		return err
	}
	return archive.Close()
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// pickler writes pickle protocol 2, with no operations but those that PyTorch's
// restricted unpickler accepts.
type pickler struct {
	out     []byte
	tensors []*Tensor
}

func (p *pickler) op(b ...byte) { p.out = append(p.out, b...) }

func (p *pickler) pickle(v any) error {
	p.op(opProto, 2)
	if err := p.value(v); err != nil {
		return err
	}
	p.op(opStop)
	return nil
}

func (p *pickler) value(v any) error {
	switch v := v.(type) {
	case nil:
		p.op(opNone)
	case bool:
		if v {
			p.op(opNewTrue)
		} else {
			p.op(opNewFalse)
		}
	case int64:
		p.integer(v)
	case int:
		p.integer(int64(v))
	case float64:
		p.op(opBinFloat)
		p.out = binary.BigEndian.AppendUint64(p.out, math.Float64bits(v))
	case string:
		p.text(v)
	case List:
		p.op(opEmptyList)
		return p.items(v, opAppends)
	case Tuple:
		p.op(opMark)
		for _, item := range v {
			if err := p.value(item); err != nil {
				return err
			}
		}
		p.op(opTuple)
	case *Dict:
		if v.Ordered {
			p.emptyOrderedDict()
		} else {
			p.op(opEmptyDict)
		}
		flat := make([]any, 0, 2*v.Len())
		for key, value := range v.All() {
			flat = append(flat, key, value)
		}
		return p.items(flat, opSetItems)
	case *Tensor:
		return p.tensor(v)
	default:
		return fmt.Errorf("pth: a %T cannot be written", v)
	}
	return nil
}

func (p *pickler) items(list []any, add byte) error {
	if len(list) == 0 {
		return nil
	}
	p.op(opMark)
	for _, item := range list {
		if err := p.value(item); err != nil {
			return err
		}
	}
	p.op(add)
	return nil
}

func (p *pickler) integer(v int64) {
	switch {
	case v >= 0 && v < 1<<8:
		p.op(opBinInt1, byte(v))
	case v >= 0 && v < 1<<16:
		p.op(opBinInt2, byte(v), byte(v>>8))
	case v >= math.MinInt32 && v <= math.MaxInt32:
		p.op(opBinInt)
		p.out = binary.LittleEndian.AppendUint32(p.out, uint32(int32(v)))
	default:
		p.op(opLong1, 8)
		p.out = binary.LittleEndian.AppendUint64(p.out, uint64(v))
	}
}

func (p *pickler) text(s string) {
	p.op(opBinUnicode)
	p.out = binary.LittleEndian.AppendUint32(p.out, uint32(len(s)))
	p.out = append(p.out, s...)
}

func (p *pickler) global(module, name string) {
	p.op(opGlobal)
	p.out = append(p.out, module+"\n"+name+"\n"...)
}

func (p *pickler) emptyOrderedDict() {
	p.global("collections", "OrderedDict")
	p.op(opEmptyTuple, opReduce)
}

// tensor writes the call that rebuilds it:
// _rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks).
func (p *pickler) tensor(t *Tensor) error {
	if t.storage != nil {
		return fmt.Errorf("pth: a tensor that lies in another file cannot be written; read it first")
	}
	if n := t.Len() * dtypes[t.DType].size; n != len(t.raw) {
		return fmt.Errorf("pth: a tensor of shape %v has %d bytes, want %d", t.Shape, len(t.raw), n)
	}
	p.global("torch._utils", "_rebuild_tensor_v2")
	p.op(opMark, opMark)
	p.text("storage")
	p.global("torch", dtypes[t.DType].storage)
	p.text(strconv.Itoa(len(p.tensors)))
	p.text("cpu")
	p.integer(int64(t.Len()))
	p.op(opTuple, opBinPersID)
	p.integer(0)
	strides := make(Tuple, len(t.Shape))
	shape := make(Tuple, len(t.Shape))
	stride := 1
	for i := len(t.Shape) - 1; i >= 0; i-- {
		shape[i], strides[i] = t.Shape[i], stride
		stride *= t.Shape[i]
	}
	for _, list := range []Tuple{shape, strides} {
		if err := p.value(list); err != nil {
			return err
		}
	}
	p.op(opNewFalse)
	p.emptyOrderedDict()
	p.op(opTuple, opReduce)
	p.tensors = append(p.tensors, t)
	return nil
}
