package nn

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/nn/lowering"
)

// TestAPaddedBatchIsTheBatchAlone compares results, gradients and running
// statistics of a batch with those of the same one filled up with noise.
func TestAPaddedBatchIsTheBatchAlone(t *testing.T) {
	for how, l := range both {
		t.Run(how, func(t *testing.T) { aPaddedBatchIsTheBatchAlone(t, l) })
	}
}

func aPaddedBatchIsTheBatchAlone(t *testing.T, l lowering.Interface) {
	backend := engine(t)
	for _, c := range []struct{ n, padded, side int }{{2, 5, 8}, {1, 4, 4}, {3, 3, 8}, {3, 8, 16}, {1, 3, 1}} {
		r := rand.New(rand.NewPCG(3, 4))
		draw := func(n int) []float32 {
			v := make([]float32, n)
			for i := range v {
				v[i] = float32(r.NormFloat64())
			}
			return v
		}
		image := 3 * c.side * c.side
		x := draw(c.padded * image)
		mask := make([]float32, c.padded)
		for i := range c.n {
			mask[i] = 1
		}
		var names []string
		var shared []any
		weights := 0
		for _, role := range []Role{Weight, Statistic} {
			for _, e := range everyEntries() {
				if e.Role == role {
					names = append(names, e.Name)
					shared = append(shared, tensors.FromFlatDataAndDimensions(e.Init(r), e.Shape...))
				}
			}
			if role == Weight {
				weights = len(names)
			}
		}
		run := func(n int, pad bool) []*tensors.Tensor {
			exec, err := graph.NewExec(backend, func(in []*graph.Node) []*graph.Node {
				values := map[string]*graph.Node{}
				for i, name := range names {
					values[name] = in[2+i]
				}
				s := NewScope(in[0].Graph(), true, values)
				s.lower = l
				if pad {
					s.Padded(in[1])
				}
				m := every.second.Forward(s, every.first.Forward(s, s.Enter(in[0])), every.first.Forward(s, s.Enter(in[0])))
				y := s.Leave(every.last.Forward(s, every.four.Forward(s, every.two.Forward(s, m))))
				y = graph.Slice(y, graph.AxisRange(0, c.n))
				loss := graph.ReduceAllMean(graph.Square(y))
				out := append([]*graph.Node{loss, y}, graph.Gradient(loss, in[2:2+weights]...)...)
				for _, name := range names[weights:] {
					out = append(out, s.Updates()[name])
				}
				return out
			})
			if err != nil {
				t.Fatal(err)
			}
			args := append([]any{tensors.FromFlatDataAndDimensions(x[:n*image], n, 3, c.side, c.side), tensors.FromFlatDataAndDimensions(mask[:n], n)}, shared...)
			out, err := exec.Call(args...)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		alone, padded := run(c.n, false), run(c.padded, true)
		for i := range alone {
			a, b := tensors.MustCopyFlatData[float32](alone[i]), tensors.MustCopyFlatData[float32](padded[i])
			largest, off := 0.0, 0.0
			for j := range a {
				largest, off = max(largest, math.Abs(float64(a[j]))), max(off, math.Abs(float64(a[j]-b[j])))
			}
			if off > 1e-5*max(largest, 1e-3) {
				t.Errorf("%d of %d images: result %d %v is off by %g of %g", c.n, c.padded, i, alone[i].Shape(), off, largest)
			}
		}
	}
}
