package nn

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/internal/plugin"
	"rekindle/pkg/nn/native"
)

// every is a chain of all layers that have a gradient on the Go engine in the
// native lowering, which pooling has not.
var every = struct {
	first, second ConvNormReLU
	two, four     Transposed
	last          Conv1x1
}{
	ConvNormReLU{Conv3x3{Name: "a", In: 3, Out: 8, Bias: false}, BatchNorm{"an", 8}}, ConvNormReLU{Conv3x3{Name: "b", In: 16, Out: 8, Bias: false}, BatchNorm{"bn", 8}},
	Transposed{Name: "t", In: 8, Out: 8, Kernel: 2}, Transposed{Name: "f", In: 8, Out: 4, Kernel: 4}, Conv1x1{Name: "o", In: 4, Out: 3},
}

func everyEntries() []Entry {
	var list []Entry
	for _, e := range [][]Entry{every.first.Entries(), every.second.Entries(), every.two.Entries(), every.four.Entries(), every.last.Entries()} {
		list = append(list, e...)
	}
	return list
}

func everyForward(s *Scope, x Map) Map {
	x = every.first.Forward(s, x)
	x = every.second.Forward(s, x, x)
	x = Upsample(s, every.two.Forward(s, x))
	return every.last.Forward(s, every.four.Forward(s, x))
}

// TestMixedPrecision runs the native lowering on XLA with and without bfloat16: what
// goes in and comes out is float32, weights, gradients and statistics included,
// and the values differ by what 8 bits of mantissa explain.
func TestMixedPrecision(t *testing.T) {
	backend := plugin.XLA(t)
	const n, side = 2, 8
	r := rand.New(rand.NewPCG(1, 2))
	var names []string
	x := make([]float32, n*3*side*side)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	args := []any{tensors.FromFlatDataAndDimensions(x, n, 3, side, side)}
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
	results := map[bool][]*tensors.Tensor{}
	for _, mixed := range []bool{false, true} {
		halves := 0
		exec, err := graph.NewExec(backend, func(in []*graph.Node) []*graph.Node {
			values := map[string]*graph.Node{}
			for i, name := range names {
				values[name] = in[1+i]
			}
			s := NewScope(in[0].Graph(), true, values)
			if _, ok := s.lower.(native.Lowering); !ok {
				t.Errorf("XLA gets the lowering %T", s.lower)
			}
			if mixed {
				s.Mixed()
			}
			inside := everyForward(s, s.Enter(in[0]))
			if inside.Parts[0].DType() == dtypes.BFloat16 {
				halves++
			}
			y := s.Leave(inside)
			out := append([]*graph.Node{y}, graph.Gradient(graph.ReduceAllMean(graph.Square(y)), in[:1+weights]...)...)
			for _, name := range names[weights:] {
				out = append(out, s.Updates()[name])
			}
			return out
		})
		if err != nil {
			t.Fatal(err)
		}
		if results[mixed], err = exec.Call(args...); err != nil {
			t.Fatal(err)
		}
		if (halves == 1) != mixed {
			t.Errorf("mixed %v: %d graphs computed in bfloat16", mixed, halves)
		}
	}
	differ := false
	for i, full := range results[false] {
		mixed := results[true][i]
		if mixed.DType() != dtypes.Float32 {
			t.Fatalf("result %d is %s", i, mixed.DType())
		}
		a, b := tensors.MustCopyFlatData[float32](full), tensors.MustCopyFlatData[float32](mixed)
		var size, off float64
		for j := range a {
			size += float64(a[j]) * float64(a[j])
			off += math.Pow(float64(a[j]-b[j]), 2)
		}
		differ = differ || off > 0
		// bfloat16 rounds by up to 2^-9. The gradients through batch norm are small
		// differences of larger sums, and a ReLU near 0 may open or close.
		tolerance := 0.01
		if i > 0 && i <= 6 {
			tolerance = 0.15
		}
		if math.Sqrt(off) > tolerance*math.Sqrt(size)+1e-6 {
			t.Errorf("result %d %v differs by %.1f%%", i, full.Shape(), 100*math.Sqrt(off/size))
		}
	}
	if !differ {
		t.Error("nothing was computed in bfloat16")
	}
}
