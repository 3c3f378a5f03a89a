package nn

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// TestRecomputingChangesNothing takes gradients through blocks in the native
// lowering, with and without recomputing. Values are the same bit for bit;
// gradients are those that GoMLX finds instead of those written by hand.
func TestRecomputingChangesNothing(t *testing.T) {
	const n, side = 2, 8
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, n*3*side*side)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	backend := engine(t)
	args := []any{tensors.FromFlatDataAndDimensions(x, n, 3, side, side)}
	var names []string
	weights := 0
	for _, role := range []Role{Weight, Statistic} {
		for _, e := range everyEntries() {
			if e.Role == role {
				names = append(names, e.Name)
				args = append(args, tensors.FromFlatDataAndDimensions(e.Init(r), e.Shape...))
			}
		}
		if role == Weight {
			weights = len(names)
		}
	}
	results, barriers := map[bool][]*tensors.Tensor{}, map[bool]int{}
	for _, recompute := range []bool{false, true} {
		exec, err := graph.NewExec(backend, func(in []*graph.Node) []*graph.Node {
			values := map[string]*graph.Node{}
			for i, name := range names {
				values[name] = in[1+i]
			}
			s := NewScope(in[0].Graph(), true, values)
			s.lower = compiled
			if recompute {
				s.Recomputing()
			}
			y := s.Block(func(xs ...Map) Map { return every.first.Forward(s, xs...) }, s.Enter(in[0]))
			y = s.Block(func(xs ...Map) Map { return every.second.Forward(s, xs...) }, y, y)
			y = every.last.Forward(s, every.four.Forward(s, every.two.Forward(s, y)))
			loss := graph.ReduceAllMean(graph.Square(s.Leave(y)))
			out := append([]*graph.Node{loss}, graph.Gradient(loss, in[:1+weights]...)...)
			for _, name := range names[weights:] {
				out = append(out, s.Updates()[name])
			}
			for _, node := range in[0].Graph().Nodes() {
				if node.Type() == graph.NodeTypeSchedulingBarrier {
					barriers[recompute]++
				}
			}
			return out
		})
		if err != nil {
			t.Fatal(err)
		}
		if results[recompute], err = exec.Call(args...); err != nil {
			t.Fatal(err)
		}
	}
	if barriers[false] != 0 || barriers[true] == 0 {
		t.Errorf("%d places are computed again, %d without recomputing", barriers[true], barriers[false])
	}
	for i, want := range results[false] {
		a, b := tensors.MustCopyFlatData[float32](results[true][i]), tensors.MustCopyFlatData[float32](want)
		gradient := i > 0 && i <= 1+weights
		if !gradient && !slices.Equal(a, b) {
			t.Errorf("result %d %v differs", i, want.Shape())
		}
		var off, largest float64
		for j := range b {
			off, largest = max(off, math.Abs(float64(a[j]-b[j]))), max(largest, math.Abs(float64(b[j])))
		}
		if off > 1e-4*largest {
			t.Errorf("result %d %v is off by %g of the largest", i, want.Shape(), off/largest)
		}
	}
}
