// Package weights reads a network's tensors from whatever file people have them
// in: PyTorch's (.pth, .pt, .ckpt, .bin), with everything that training programs
// put around a state_dict, and safetensors. Which network they are of is for the
// caller to find out.
//
//	w, err := weights.Open("net_g_latest.pth")
//	values, err := w.Fit(wanted)
//
// What a file can ask for is bounded by packages pth and safetensors: nothing in
// it is ever run.
package weights

import (
	"errors"
	"fmt"
	"io"

	"rekindle/pkg/checkpoint/pth"
	"rekindle/pkg/checkpoint/safetensors"
)

// ErrNoWeights is returned when a file is whole but has no tensors by name, or
// those of several networks.
var ErrNoWeights = errors.New("no weights of a network")

// Weights are the tensors of one network, in the order of their file.
type Weights struct {
	Path   string
	Format string // "PyTorch" or "safetensors"

	// Key is where in a PyTorch file the tensors were found, its keys joined by
	// "/": "params_ema"; "" if the file is nothing but a state_dict.
	Key string

	// Prefix is what names had in front and is taken off: "module." of
	// DataParallel, "_orig_mod." of torch.compile, "model." of Lightning, or several
	// of them one after another; "" if nothing was.
	Prefix string

	Tensors []Tensor

	// Unused lists what stood among the tensors and does not belong to them: values
	// that are no tensors, and of a module of Lightning or MMEngine the parts that are
	// not the network.
	Unused []string

	Metadata map[string]string // of a safetensors file, may be nil

	parts bool // other modules, losses for example, may lie beside the network
	index map[string]int
}

// Tensor is one of a network's arrays, row-major.
type Tensor struct {
	Name   string
	Shape  []int     // empty for a single number
	Values []float32 // float16, bfloat16 and float64 are converted; nil for whole numbers
	Whole  []int64   // of a tensor of whole numbers (num_batches_tracked), else nil
}

// Open reads all tensors of a network. The error names the file and says what to
// do; it is [ErrNoWeights], one of packages pth and safetensors, or one of the
// operating system (fs.ErrNotExist).
func Open(path string) (*Weights, error) {
	w, err := openSafetensors(path)
	if errors.Is(err, safetensors.ErrNotSafetensors) {
		w, err = openPyTorch(path)
	}
	if err != nil {
		return nil, err
	}
	w.Path = path
	w.tidy()
	return w, nil
}

// Read is [Open] for the bytes of a safetensors file. name is for messages.
func Read(name string, r io.ReaderAt, size int64) (*Weights, error) {
	f, err := safetensors.Read(r, size)
	if err != nil {
		return nil, fmt.Errorf("weights: %s: %w", name, err)
	}
	w, err := readSafetensors(name, f)
	if err != nil {
		return nil, err
	}
	w.Path = name
	w.tidy()
	return w, nil
}

func (w *Weights) tidy() {
	w.unwrap()
	w.index = map[string]int{}
	for i, t := range w.Tensors {
		w.index[t.Name] = i
	}
}

// Tensor returns a tensor by its name without [Weights.Prefix].
func (w *Weights) Tensor(name string) (Tensor, bool) {
	i, ok := w.index[name]
	if !ok {
		return Tensor{}, false
	}
	return w.Tensors[i], true
}

// Has reports whether there is a tensor of that name, as [Weights.Tensor] takes it.
func (w *Weights) Has(name string) bool {
	_, ok := w.index[name]
	return ok
}

// Origin says in a few words where the weights came from: `a.ckpt, "state_dict", names without "model."`.
func (w *Weights) Origin() string {
	s := w.Path
	if w.Key != "" {
		s += fmt.Sprintf(", %q", w.Key)
	}
	if w.Prefix != "" {
		s += fmt.Sprintf(", names without %q", w.Prefix)
	}
	return s
}

func openSafetensors(path string) (*Weights, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readSafetensors(path, f)
}

func readSafetensors(path string, f *safetensors.File) (*Weights, error) {
	var err error
	w := &Weights{Format: "safetensors", Metadata: f.Metadata}
	for _, name := range f.Names() {
		stored, _ := f.Tensor(name)
		t := Tensor{Name: name, Shape: stored.Shape}
		switch {
		case stored.IsFloat():
			t.Values, err = stored.Float32s()
		case stored.IsWhole():
			t.Whole, err = stored.Int64s()
		default:
			w.Unused = append(w.Unused, fmt.Sprintf("%s (%s)", name, stored.DType))
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("weights: %s: %s: %w", path, name, err)
		}
		w.Tensors = append(w.Tensors, t)
	}
	if len(w.Tensors) == 0 {
		return nil, fmt.Errorf("weights: %s: %w: it holds no tensors", path, ErrNoWeights)
	}
	return w, nil
}

func openPyTorch(path string) (*Weights, error) {
	f, err := pth.Open(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	defer f.Close()
	var s search
	state, key := s.find(f.Root, "", 0)
	if state == nil {
		return nil, fmt.Errorf("weights: %s: %w: %s", path, ErrNoWeights, s.why())
	}
	w := &Weights{Format: "PyTorch", Key: key, parts: s.parts}
	for k, v := range state.All() {
		name, text := k.(string)
		stored, tensor := v.(*pth.Tensor)
		if !text || !tensor {
			w.Unused = append(w.Unused, fmt.Sprint(k))
			continue
		}
		t := Tensor{Name: name, Shape: stored.Shape}
		if stored.DType.IsFloat() {
			t.Values, err = stored.Float32s()
		} else {
			t.Whole, err = stored.Int64s()
		}
		if err != nil {
			return nil, fmt.Errorf("weights: %s: %w", name, err)
		}
		w.Tensors = append(w.Tensors, t)
	}
	return w, nil
}
