package loss_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
	"rekindle/pkg/loss"
)

// The loss of a batch of one picture, everywhere 0.5 brighter than it should be.
func ExampleCombined_Graph() {
	engine, err := backend.Open("go")
	check(err)
	exec, err := graph.NewExec(engine.Backend, func(restored, clean *graph.Node) []*graph.Node {
		total, l1, ssim := loss.Combined{Alpha: 0.84, Beta: 0.16}.Graph(restored, clean)
		return []*graph.Node{total, l1, ssim}
	})
	check(err)
	grey := func(level float32) *tensors.Tensor {
		values := make([]float32, 3*16*16)
		for i := range values {
			values[i] = level
		}
		return tensors.FromFlatDataAndDimensions(values, 1, 3, 16, 16)
	}
	out, err := exec.Call(grey(0.5), grey(0))
	check(err)
	for i, name := range []string{"total", "L1", "SSIM"} {
		fmt.Printf("%s %.3f\n", name, out[i].Value())
	}
	// Output:
	// total 0.432
	// L1 0.500
	// SSIM 0.923
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
