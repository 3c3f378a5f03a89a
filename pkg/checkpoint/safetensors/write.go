// Package safetensors knows the file format in which networks are exchanged:
// named arrays behind a header in JSON, no code (github.com/huggingface/safetensors).
package safetensors

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"rekindle/pkg/checkpoint/float16"
	"rekindle/pkg/durable"
)

// Item is one array to write, row-major: floats, or integers where Int64 is not
// nil. A shape of no dimensions is a single number.
type Item struct {
	Name    string
	Shape   []int
	Float32 []float32
	Int64   []int64
	Half    bool // floats are written as F16, rounded
}

// Save writes a .safetensors file, all or nothing. metadata may be nil.
func Save(path string, items []Item, metadata map[string]string) error {
	f, err := durable.Create(path)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	defer f.Abort()
	if err := Write(f, items, metadata); err != nil {
		return err
	}
	if err := f.Commit(); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return nil
}

// entry is what the header says of an array.
type entry struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"` // of its bytes, counted from the end of the header
}

// Write writes the format to w. The arrays lie without gaps, those of the wider
// type first and otherwise in the given order, so that each begins at a multiple
// of its type's size and can be used where a file is mapped into memory.
func Write(w io.Writer, items []Item, metadata map[string]string) error {
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b Item) int { return b.width() - a.width() })
	header, err := header(items, metadata)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 1<<16)
	// A buffered writer keeps its first error for Flush.
	_ = binary.Write(out, binary.LittleEndian, uint64(len(header)))
	_, _ = out.Write(header)
	for _, item := range items {
		if item.Int64 != nil {
			_ = binary.Write(out, binary.LittleEndian, item.Int64)
			continue
		}
		for part := range slices.Chunk(item.Float32, 1<<14) { // binary.Write holds a second copy of what it is given
			if !item.Half {
				_ = binary.Write(out, binary.LittleEndian, part)
				continue
			}
			bits := make([]uint16, len(part))
			for i, v := range part {
				bits[i] = float16.Bits(v)
			}
			_ = binary.Write(out, binary.LittleEndian, bits)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return nil
}

// header is the JSON header, filled with blanks to a multiple of 8 bytes.
func header(items []Item, metadata map[string]string) ([]byte, error) {
	var b strings.Builder
	field := func(key string, value any) error {
		k, err := json.Marshal(key)
		if err != nil {
			return err
		}
		v, err := json.Marshal(value)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%c%s:%s", "{,"[min(b.Len(), 1)], k, v)
		return nil
	}
	if len(metadata) > 0 {
		if err := field("__metadata__", metadata); err != nil {
			return nil, fmt.Errorf("safetensors: %w", err)
		}
	}
	seen := map[string]bool{"__metadata__": true}
	at := int64(0)
	for _, item := range items {
		if err := item.check(); err != nil {
			return nil, err
		}
		if seen[item.Name] {
			return nil, fmt.Errorf("safetensors: %q is there twice, or reserved", item.Name)
		}
		seen[item.Name] = true
		end := at + int64(item.len()*item.width())
		e := entry{item.dtype(), item.Shape, [2]int64{at, end}}
		if e.Shape == nil {
			e.Shape = []int{}
		}
		if err := field(item.Name, e); err != nil {
			return nil, fmt.Errorf("safetensors: %w", err)
		}
		at = end
	}
	if b.Len() == 0 {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	return []byte(b.String()), nil
}

func (i Item) dtype() string {
	switch {
	case i.Int64 != nil:
		return "I64"
	case i.Half:
		return "F16"
	}
	return "F32"
}

func (i Item) width() int {
	switch {
	case i.Int64 != nil:
		return 8
	case i.Half:
		return 2
	}
	return 4
}

func (i Item) len() int { return max(len(i.Int64), len(i.Float32)) }

func (i Item) check() error {
	n := 1
	for _, d := range i.Shape {
		n *= d
	}
	if i.Int64 != nil && i.Float32 != nil {
		return fmt.Errorf("safetensors: %q has floats and integers", i.Name)
	}
	if n != i.len() {
		return fmt.Errorf("safetensors: %q has %d numbers, but the shape %v", i.Name, i.len(), i.Shape)
	}
	return nil
}
