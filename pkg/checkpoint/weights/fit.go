package weights

import (
	"fmt"
	"slices"
	"strings"
)

// Want is one tensor that a network needs.
type Want struct {
	Name  string
	Shape []int
}

// Misfit says how the tensors of a file differ from what a network needs.
type Misfit struct {
	Fitting   int      // how many tensors fit
	Missing   []string // needed, and not in the file
	Misshapen []string // in the file with another shape: "outc.weight is [3 16 1 1], want [3 64 1 1]"
	Unneeded  []string // in the file, and not needed
}

// Error is one sentence that names the first few.
func (m *Misfit) Error() string {
	var parts []string
	add := func(format string, list []string) {
		if len(list) > 0 {
			parts = append(parts, fmt.Sprintf(format, len(list), few(list)))
		}
	}
	add("%d are missing (%s)", m.Missing)
	add("%d have another shape (%s)", m.Misshapen)
	add("%d do not belong to the network (%s)", m.Unneeded)
	return fmt.Sprintf("%d tensors fit, %s", m.Fitting, strings.Join(parts, ", "))
}

// few names the first of a list.
func few(list []string) string {
	const most = 3
	if len(list) <= most {
		return strings.Join(list, "; ")
	}
	return strings.Join(list[:most], "; ") + "; ..."
}

// Fit returns the tensors that a network needs, in the order of want. All of them
// must be there with their shapes, and nothing else may be, or the error is a
// [*Misfit]: weights that are loaded in part restore nothing. Only counters
// (num_batches_tracked), which files before PyTorch 0.4.1 lack, may be missing;
// such a one is 0.
func (w *Weights) Fit(want []Want) ([]Tensor, error) {
	find := w.naming(want)
	out := make([]Tensor, len(want))
	used := map[string]bool{}
	var m Misfit
	for i, need := range want {
		t, ok := find(need.Name)
		counter := strings.HasSuffix(need.Name, ".num_batches_tracked")
		used[t.Name] = ok
		switch {
		case !ok && counter:
			t = Tensor{Whole: []int64{0}}
		case !ok:
			m.Missing = append(m.Missing, need.Name)
			continue
		case counter && len(t.Whole) == 1: // of the shape [] or, in old files, [1]
		case t.Values == nil && len(t.Whole) > 0:
			m.Misshapen = append(m.Misshapen, fmt.Sprintf("%s holds whole numbers", need.Name))
			continue
		case !slices.Equal(t.Shape, need.Shape):
			m.Misshapen = append(m.Misshapen, fmt.Sprintf("%s is %v, want %v", need.Name, t.Shape, need.Shape))
			continue
		}
		t.Name, t.Shape = need.Name, need.Shape
		out[i] = t
		m.Fitting++
	}
	for _, t := range w.Tensors {
		if !used[t.Name] {
			m.Unneeded = append(m.Unneeded, t.Name)
		}
	}
	if len(m.Missing)+len(m.Misshapen)+len(m.Unneeded) > 0 {
		return nil, fmt.Errorf("weights: %s: %w", w.Origin(), &m)
	}
	return out, nil
}

// naming finds tensors under a network's names. Those may have in front what was
// taken off the names of the file, or the file's what is not known as a wrapper.
func (w *Weights) naming(want []Want) func(name string) (Tensor, bool) {
	if len(want) == 0 || w.Has(want[0].Name) {
		return w.Tensor
	}
	first := want[0].Name
	for i := range w.Prefix {
		if short, ok := strings.CutPrefix(first, w.Prefix[i:]); ok && w.Has(short) {
			return func(name string) (Tensor, bool) { return w.Tensor(strings.TrimPrefix(name, w.Prefix[i:])) }
		}
	}
	for _, t := range w.Tensors {
		if front, ok := strings.CutSuffix(t.Name, "."+first); ok {
			return func(name string) (Tensor, bool) { return w.Tensor(front + "." + name) }
		}
	}
	return w.Tensor
}
