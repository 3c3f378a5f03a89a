package native

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
)

// The two ways to the gradient of a kernel compute its definition: the sum over
// all pixels of x, shifted by the position, times dy.
func TestBothGradientsOfAKernelAreItsDefinition(t *testing.T) {
	for _, d := range [][5]int{{2, 4, 5, 3, 2}, {1, 1, 6, 2, 3}, {3, 5, 1, 1, 1}} {
		n, h, w, in, out := d[0], d[1], d[2], d[3], d[4]
		x, dy := make([]float32, n*h*w*in), make([]float32, n*h*w*out)
		for i := range x {
			x[i] = float32(i*i%13) - 6
		}
		for i := range dy {
			dy[i] = float32(i*i%11) - 5
		}
		want := make([]float64, 9*in*out)
		for k := range 9 {
			for p := range n * h * w {
				r, c := p/w%h+k/3-1, p%w+k%3-1
				if r < 0 || r >= h || c < 0 || c >= w {
					continue
				}
				for i := range in {
					for o := range out {
						want[(k*in+i)*out+o] += float64(x[((p/w/h*h+r)*w+c)*in+i]) * float64(dy[p*out+o])
					}
				}
			}
		}
		engine, err := backend.Open("go")
		if err != nil {
			t.Fatal(err)
		}
		for name, f := range map[string]func(x, dy *graph.Node) *graph.Node{"product": gradientByProduct, "convolution": gradientByConvolution} {
			t.Run(fmt.Sprint(name, d), func(t *testing.T) {
				exec, err := graph.NewExec(engine.Backend, func(x, dy *graph.Node) *graph.Node { return f(x, dy) })
				if err != nil {
					t.Fatal(err)
				}
				got, err := exec.Call(tensors.FromFlatDataAndDimensions(x, n, h, w, in), tensors.FromFlatDataAndDimensions(dy, n, h, w, out))
				if err != nil {
					t.Fatal(err)
				}
				for i, v := range tensors.MustCopyFlatData[float32](got[0]) {
					if math.Abs(float64(v)-want[i]) > 1e-3 {
						t.Fatalf("value %d is %g, want %g", i, v, want[i])
					}
				}
			})
		}
	}
}
