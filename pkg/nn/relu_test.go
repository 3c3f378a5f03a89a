package nn

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/nn/lowering"
)

// Value and all gradients of the layers of a VGG network, in each of the Go
// engine's ways to lay out a convolution, against compiled convolutions.
func TestConvolutionsWithBiasAndReLUAgreeInBothLowerings(t *testing.T) {
	fill := func(n int, f float64) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(math.Sin(float64(i*i)*f + 1))
		}
		return out
	}
	names := []string{"c.weight", "c.bias"}
	layer := func(s *Scope, x Map) Map {
		x = ScaleShift(s, x, []float64{2, 3, 0.5}, []float64{0.1, -0.2, 0.3})
		return Conv3x3{Name: "c", In: 3, Out: 4, Bias: true}.ReLU(s, x)
	}
	for _, d := range [][3]int{{1, 5, 7}, {3, 16, 16}, {5, 40, 17}, {2, 1, 1}, {6, 33, 32}, {1, 2, 64}} {
		n, h, w := d[0], d[1], d[2]
		results := [2]outcome{}
		for i, l := range []lowering.Interface{columns, compiled} {
			values := map[string]*tensors.Tensor{
				"c.weight": tensors.FromFlatDataAndDimensions(fill(4*3*9, 0.7), 4, 3, 3, 3),
				"c.bias":   tensors.FromFlatDataAndDimensions([]float32{0.5, -0.25, 1, -1}, 4),
			}
			x := tensors.FromFlatDataAndDimensions(fill(n*3*h*w, 0.3), n, 3, h, w)
			dy := tensors.FromFlatDataAndDimensions(fill(n*4*h*w, 0.9), n, 4, h, w)
			var err error
			results[i], err = run(t, l, false, layer, names, values, x, dy)
			if err != nil {
				t.Fatalf("%v: %v", d, err)
			}
		}
		a, b := results[0], results[1]
		for name, p := range map[string][2]*tensors.Tensor{"output": {a.output, b.output}, "gradient of the input": {a.input, b.input},
			"gradient of the weights": {a.parameters[0], b.parameters[0]}, "gradient of the bias": {a.parameters[1], b.parameters[1]}} {
			got, want := tensors.MustCopyFlatData[float32](p[0]), tensors.MustCopyFlatData[float32](p[1])
			largest := 0.0
			for _, v := range want {
				largest = math.Max(largest, math.Abs(float64(v)))
			}
			for j := range want {
				if !(math.Abs(float64(got[j]-want[j])) <= gradientTolerance*largest) {
					t.Errorf("batch %d of %dx%d: %s: %g, native %g", n, h, w, name, got[j], want[j])
					break
				}
			}
		}
	}
}

func TestMeanAbsDifferenceIsTheSameInBothLowerings(t *testing.T) {
	a, b := make([]float32, 5*3*6*7), make([]float32, 5*3*6*7)
	want := 0.0
	for i := range a {
		a[i], b[i] = float32(i%11), float32(i%7) // often equal
		want += math.Abs(float64(a[i]-b[i])) / float64(len(a))
	}
	for how, l := range both {
		exec, err := graph.NewExec(engine(t), func(x, y *graph.Node) []*graph.Node {
			s := NewScope(x.Graph(), false, nil)
			s.lower = l
			mean := MeanAbsDifference(s, s.Enter(x), s.Enter(y))
			return append([]*graph.Node{mean}, graph.Gradient(mean, x)...)
		})
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Call(tensors.FromFlatDataAndDimensions(a, 5, 3, 6, 7), tensors.FromFlatDataAndDimensions(b, 5, 3, 6, 7))
		if err != nil {
			t.Fatal(err)
		}
		if got := tensors.ToScalar[float32](out[0]); math.Abs(float64(got)-want) > 1e-6 {
			t.Errorf("%s: got %g, want %g", how, got, want)
		}
		for i, g := range tensors.MustCopyFlatData[float32](out[1]) {
			sign := 0.0
			if a[i] != b[i] {
				sign = math.Copysign(1, float64(a[i]-b[i]))
			}
			if math.Abs(float64(g)-sign/float64(len(a))) > 1e-8 {
				t.Fatalf("%s: gradient %d is %g, want %g", how, i, g, sign/float64(len(a)))
			}
		}
	}
}
