// Package pth reads and writes PyTorch's checkpoint files: a zip archive that
// holds a pickle of nested dictionaries and lists, and each tensor's numbers as
// raw bytes. The older format (five pickles in a row) can be read as well.
//
//	f, err := pth.Open("best_model.pth")
//	defer f.Close()
//	weights, _ := f.Root.(*pth.Dict).Get("model_state_dict")
//
// A pickle is a program that can call anything. Ours is run by a machine that
// knows only what plain state dictionaries need (see pickle.go) and refuses the
// rest by name; this is why no general unpickling library is used. Lengths are
// checked against the real size of the file before anything is allocated.
//
// Reading a tensor of the zip format verifies the CRC of its bytes. [Save] is all or nothing
// and survives a power cut (package durable).
package pth

import (
	"fmt"
	"iter"
)

// Dict is a Python dict or OrderedDict: insertion order is kept. Keys are
// strings or int64.
type Dict struct {
	Ordered bool // an OrderedDict
	keys    []any
	values  map[any]any
}

// NewDict returns an empty dict.
func NewDict() *Dict { return &Dict{values: map[any]any{}} }

// NewOrderedDict returns an empty OrderedDict, which is what PyTorch's modules
// give as state_dict.
func NewOrderedDict() *Dict { return &Dict{Ordered: true, values: map[any]any{}} }

// Set adds a key or replaces its value.
func (d *Dict) Set(key, value any) {
	if _, ok := d.values[key]; !ok {
		d.keys = append(d.keys, key)
	}
	d.values[key] = value
}

// Get returns the value of a key.
func (d *Dict) Get(key any) (any, bool) {
	v, ok := d.values[key]
	return v, ok
}

// Len is the number of keys.
func (d *Dict) Len() int { return len(d.keys) }

// All goes through keys and values in insertion order.
func (d *Dict) All() iter.Seq2[any, any] {
	return func(yield func(any, any) bool) {
		for _, k := range d.keys {
			if !yield(k, d.values[k]) {
				return
			}
		}
	}
}

// List is a Python list, Tuple a tuple. The other values are *Dict, *Tensor,
// string, int64, float64, bool and nil.
type (
	List  []any
	Tuple []any
)

// DType is the type of a tensor's numbers.
type DType uint8

// The types that can be read. Float32 and Int64 are what [Save] is asked to write.
const (
	Float32 DType = iota + 1
	Float64
	Float16
	BFloat16
	Int64
	Int32
	Int16
	Int8
	Uint8
	Bool
)

var dtypes = map[DType]struct {
	storage string // PyTorch's class
	size    int    // bytes of a number
}{
	Float32: {"FloatStorage", 4}, Float64: {"DoubleStorage", 8}, Float16: {"HalfStorage", 2}, BFloat16: {"BFloat16Storage", 2},
	Int64: {"LongStorage", 8}, Int32: {"IntStorage", 4}, Int16: {"ShortStorage", 2}, Int8: {"CharStorage", 1},
	Uint8: {"ByteStorage", 1}, Bool: {"BoolStorage", 1},
}

func (d DType) String() string {
	if t, ok := dtypes[d]; ok {
		return t.storage
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}
