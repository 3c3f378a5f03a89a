package nn

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/nn/lowering"
)

// The definitions of PyTorch, place by place, against both lowerings, with the
// gradients: of a sum weighed by dy, the gradient of a permutation is dy carried back.
func TestPixelsBecomeChannelsAndComeBack(t *testing.T) {
	for how, l := range both {
		for _, d := range [][4]int{{1, 1, 1, 1}, {5, 3, 3, 4}, {2, 2, 8, 5}} {
			t.Run(fmt.Sprint(how, d), func(t *testing.T) {
				n, c, h, w := d[0], d[1], d[2], d[3] // of the small map, which has 4c channels
				large, small := make([]float32, n*c*4*h*w), make([]float32, n*c*4*h*w)
				for i := range n * c {
					for y := range 2 * h {
						for x := range 2 * w {
							at := (i*2*h+y)*2*w + x
							large[at] = float32(at)
							small[((i*4+2*(y%2)+x%2)*h+y/2)*w+x/2] = float32(at)
						}
					}
				}
				big := func() *tensors.Tensor { return tensors.FromFlatDataAndDimensions(large, n, c, 2*h, 2*w) }
				little := func() *tensors.Tensor { return tensors.FromFlatDataAndDimensions(small, n, 4*c, h, w) }
				for _, f := range []struct {
					name     string
					layer    func(s *Scope, x Map) Map
					from, to func() *tensors.Tensor
				}{{"unshuffle", PixelUnshuffle, big, little}, {"shuffle", PixelShuffle, little, big}} {
					o, err := run(t, l, true, f.layer, nil, nil, f.from(), f.to())
					if err != nil {
						t.Fatal(err)
					}
					if !same(o.output, f.to()) {
						t.Errorf("%s: got %v, want %v", f.name, o.output, f.to())
					}
					if !same(o.input, f.from()) {
						t.Errorf("gradient of %s: got %v, want %v", f.name, o.input, f.from())
					}
				}
			})
		}
	}
}

func same(a, b *tensors.Tensor) bool {
	x, y := tensors.MustCopyFlatData[float32](a), tensors.MustCopyFlatData[float32](b)
	for i := range y {
		if x[i] != y[i] {
			return false
		}
	}
	return a.Shape().Equal(b.Shape())
}

// A strided convolution by its definition, with and without a bias, and its
// gradients in both lowerings alike.
func TestAStridedConvolutionIsPyTorchs(t *testing.T) {
	const n, in, out, h, w = 3, 2, 3, 4, 6
	fill := func(k int, f float64) []float32 {
		v := make([]float32, k)
		for i := range v {
			v[i] = float32(math.Sin(float64(i*i)*f + 1))
		}
		return v
	}
	x, weight, bias, dy := fill(n*in*h*w, 0.3), fill(out*in*4, 0.7), fill(out, 0.5), fill(n*out*h*w/4, 0.9)
	for _, biased := range []bool{false, true} {
		layer := Strided{"c", in, out, biased}
		var want []float32
		for i := range n * out {
			for y := range h / 2 {
				for c := range w / 2 {
					sum := 0.0
					for k := range in * 4 {
						at := ((i/out*in+k/4)*h+2*y+k%4/2)*w + 2*c + k%2
						sum += float64(x[at]) * float64(weight[i%out*in*4+k])
					}
					if biased {
						sum += float64(bias[i%out])
					}
					want = append(want, float32(sum))
				}
			}
		}
		names := []string{"c.weight", "c.bias"}[:len(layer.Entries())]
		var results [2]outcome
		for i, l := range []lowering.Interface{columns, compiled} {
			values := map[string]*tensors.Tensor{"c.weight": tensors.FromFlatDataAndDimensions(weight, out, in, 2, 2), "c.bias": tensors.FromFlatDataAndDimensions(bias, out)}
			var err error
			results[i], err = run(t, l, true, layer.Forward, names, values, tensors.FromFlatDataAndDimensions(x, n, in, h, w), tensors.FromFlatDataAndDimensions(dy, n, out, h/2, w/2))
			if err != nil {
				t.Fatal(err)
			}
			for j, v := range tensors.MustCopyFlatData[float32](results[i].output) {
				if math.Abs(float64(v-want[j])) > 1e-5 {
					t.Fatalf("native %v: value %d is %g, want %g", i == 1, j, v, want[j])
				}
			}
		}
		a, b := append(results[0].parameters, results[0].input), append(results[1].parameters, results[1].input)
		for k := range a {
			p, q := tensors.MustCopyFlatData[float32](a[k]), tensors.MustCopyFlatData[float32](b[k])
			for j := range q {
				if math.Abs(float64(p[j]-q[j])) > 1e-5 {
					t.Fatalf("gradient %d differs at %d: %g and %g", k, j, p[j], q[j])
				}
			}
		}
	}
}

func TestASumOfMapsIsThatOfTheirValues(t *testing.T) {
	values := func() *tensors.Tensor { return tensors.FromFlatDataAndDimensions([]float32{1, -2, 3, 4}, 1, 1, 2, 2) }
	o, err := run(t, columns, true, func(s *Scope, x Map) Map { return Add(s, x, s.Enter(graph.OnesLike(s.Leave(x)))) }, nil, nil, values(), values())
	if err != nil {
		t.Fatal(err)
	}
	if !same(o.output, tensors.FromFlatDataAndDimensions([]float32{2, -1, 4, 5}, 1, 1, 2, 2)) || !same(o.input, values()) {
		t.Errorf("got %v and %v", o.output, o.input)
	}
}
