// Package pth reads and writes PyTorch's checkpoint files (.pth, .pt): a zip
// archive that holds a pickle of nested dictionaries and lists, and each tensor's
// numbers as raw bytes. The format before PyTorch 1.6, five pickles in a row,
// can be read as well. Use it to exchange weights with Python; what the
// dictionaries of a training run contain is the business of package checkpoint.
//
//	f, err := pth.Open("best_model.pth") // reads the structure, no tensor
//	defer f.Close()
//	model, _ := f.Root.(*pth.Dict).Get("model_state_dict")
//
//	root := pth.NewDict()
//	root.Set("epoch", 3)
//	root.Set("weight", pth.FromFloat32(weights, 64, 3, 3, 3))
//	err = pth.Save("last_checkpoint.pth", root)
//
// What Save writes, torch.load opens, also with weights_only=True.
//
// # What a file can ask for
//
// A pickle is a program. Ours is run by a machine that knows the operations of
// checkpoints and a short list of classes; nothing in a file can make it call,
// open or import anything. Objects of other classes, such as hyper-parameters
// and what Lightning keeps of its callbacks, become an [Opaque] each: their
// arguments and attributes are dropped, never used. A file that is nothing but such
// an object, or that wants to call what no checkpoint needs (os.system), is
// refused with [ErrRefused]. Memory is bounded by the real size of the file: every
// length, shape and stride is compared with it first, nesting and the number of
// values are limited, and so is what compressed entries unpack to; these are
// decompressed anew each time that a tensor is read.
// No general library is used because the one there is for Go (gopickle, last
// released in February 2023) allocates whatever length a file claims and reads
// every tensor at once.
//
// # What is promised
//
// [Save] is atomic and durable: after a nil error the new file survives a power
// cut, after any other end the old file is untouched. It does not read back what
// it wrote. [Write] promises what its writer does.
//
// [Open] compares the checksum of the pickle before believing it, and the place
// of every tensor with the size of the file, but reads no tensor. Reading a
// tensor that is the whole of its storage, as every tensor written by Save is,
// compares its checksum; reading a part of a storage, or a tensor of the old
// format, which has no checksums, finds missing bytes but not changed ones.
// Attributes of an OrderedDict (PyTorch's _metadata) and requires_grad are
// skipped.
package pth

import (
	"errors"
	"fmt"
	"iter"
)

var (
	// ErrNotCheckpoint is returned when a file is something else than a PyTorch
	// checkpoint: empty, a folder, a picture.
	ErrNotCheckpoint = errors.New("not a PyTorch checkpoint")

	// ErrDamaged is returned when a checkpoint is cut off, its checksum does not
	// fit, or it contradicts itself.
	ErrDamaged = errors.New("damaged checkpoint")

	// ErrRefused is returned when a checkpoint asks for what dictionaries of
	// tensors do not need: to be an object of a class or operation outside the short list that is
	// allowed, or sizes beyond reason. It may be whole, and harmless.
	ErrRefused = errors.New("refused")
)

func foreign(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrNotCheckpoint, fmt.Errorf(format, args...))
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(format, args...))
}

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrRefused, fmt.Errorf(format, args...))
}

// Dict is a Python dict or OrderedDict: insertion order is kept. Keys are
// strings or whole numbers; an int is taken as the int64 of the same value.
// Values are *Dict, List, Tuple, *Tensor, string, int64, float64, bool and nil, and
// *Opaque in what was read. Entries with other keys (fractions, tuples) are left
// out when a file is read.
// The zero value is an empty dict.
type Dict struct {
	Ordered bool // an OrderedDict, which is what PyTorch's modules give as state_dict
	keys    []any
	values  map[any]any
}

// NewDict returns an empty dict.
func NewDict() *Dict { return &Dict{} }

// NewOrderedDict returns an empty OrderedDict.
func NewOrderedDict() *Dict { return &Dict{Ordered: true} }

// Set adds a key, or replaces its value and keeps its place. [Save] returns an
// error for keys and values of other types than [Dict] allows.
func (d *Dict) Set(key, value any) {
	key = plainKey(key)
	if d.values == nil {
		d.values = map[any]any{}
	}
	if _, ok := d.values[key]; !ok {
		d.keys = append(d.keys, key)
	}
	d.values[key] = value
}

// Get returns the value of a key.
func (d *Dict) Get(key any) (any, bool) {
	v, ok := d.values[plainKey(key)]
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

func plainKey(key any) any {
	if i, ok := key.(int); ok {
		return int64(i)
	}
	return key
}

// Opaque stands for a value that is not read: an object of a class that means
// nothing here, a class itself, bytes, a set, a number of more than 64 bits. It
// cannot be written.
type Opaque struct {
	Class string // in Python: "argparse.Namespace"
}

// String says what it is: "argparse.Namespace, not read".
func (o *Opaque) String() string { return o.Class + ", not read" }

var (
	aSet         = &Opaque{"set"}
	someBytes    = &Opaque{"bytes"}
	aBigInt      = &Opaque{"int"}
	aClass       = &Opaque{"type"}
	aNumpyType   = &Opaque{"numpy.dtype"}
	aNumpyScalar = &Opaque{"numpy.generic"}
)

// List is a Python list, Tuple a tuple; their items are what a [Dict] may hold.
type (
	List  []any
	Tuple []any
)
