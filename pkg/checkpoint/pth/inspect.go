package pth

import (
	"fmt"
	"strings"
)

// Entry is a tensor or a plain value in a checkpoint.
type Entry struct {
	Path  string // keys and list positions from the root, joined by "/": "optimizer_state_dict/state/0/exp_avg"
	DType DType  // 0 if it is no tensor
	Shape []int
	Value any // if it is no tensor: string, int64, float64, bool, nil, or an empty *Dict, List or Tuple
}

// String is one line: "model_state_dict/outc.conv.bias: float32 [3]", "epoch: 36".
func (e Entry) String() string {
	switch v := e.Value.(type) {
	case *Dict:
		return e.Path + ": {}"
	case List:
		return e.Path + ": []"
	case Tuple:
		return e.Path + ": ()"
	case string:
		return fmt.Sprintf("%s: %q", e.Path, v)
	case nil:
		if e.DType == 0 {
			return e.Path + ": none"
		}
		return fmt.Sprintf("%s: %v %v", e.Path, e.DType, e.Shape)
	default:
		return fmt.Sprintf("%s: %v", e.Path, v)
	}
}

// Inspect lists what a checkpoint holds, in its order. It reads the structure
// only: milliseconds, whatever the size of the tensors.
func Inspect(name string) ([]Entry, error) {
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Entries(), nil
}

// Entries lists what the checkpoint holds, in its order.
func (f *File) Entries() []Entry {
	var out []Entry
	var walk func(path []string, v any)
	items := func(path []string, v any, list []any) {
		for i, item := range list {
			walk(append(path, fmt.Sprint(i)), item)
		}
		if len(list) == 0 {
			out = append(out, Entry{Path: strings.Join(path, "/"), Value: v})
		}
	}
	walk = func(path []string, v any) {
		switch v := v.(type) {
		case *Tensor:
			out = append(out, Entry{Path: strings.Join(path, "/"), DType: v.DType, Shape: v.Shape})
		case *Dict:
			for key, item := range v.All() {
				walk(append(path, fmt.Sprint(key)), item)
			}
			if v.Len() == 0 {
				out = append(out, Entry{Path: strings.Join(path, "/"), Value: v})
			}
		case List:
			items(path, v, v)
		case Tuple:
			items(path, v, v)
		default:
			out = append(out, Entry{Path: strings.Join(path, "/"), Value: v})
		}
	}
	walk(nil, f.Root)
	return out
}
