package backend_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/backend"
)

// "auto" takes a GPU where there is one; the engine in pure Go is always there. Each
// says in words of its own that memory is short.
func ExampleOpen() {
	engine, err := backend.Open("go")
	if err != nil {
		panic(err)
	}
	fmt.Println(engine.Choice.Name, engine.OnGPU()) // engine.Choice.Why is for people

	product, err := graph.NewExec(engine.Backend, func(a, b *graph.Node) *graph.Node { return graph.MatMul(a, b) })
	if err != nil {
		panic(err)
	}
	out, err := product.Call([][]float32{{1, 2}, {3, 4}}, [][]float32{{1}, {10}})
	switch {
	case backend.IsOutOfMemory(err):
		fmt.Println("take a smaller batch")
	case err != nil:
		panic(err)
	default:
		fmt.Println(out[0].Value())
	}
	// Output:
	// go false
	// [[21] [43]]
}
