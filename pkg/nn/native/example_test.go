package native_test

import (
	"fmt"
	"log"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/backend"
	"rekindle/pkg/nn/native"
)

// Six images are one node with the channels last.
func Example() {
	engine, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	g := graph.NewGraph(engine.Backend, "example")
	images := graph.Parameter(g, "images", shapes.Make(dtypes.Float32, 6, 3, 16, 20))
	l := native.For(g)
	pooled := l.MaxPool(l.Enter(images))
	fmt.Println(pooled.N, pooled.C, pooled.H, pooled.W)
	for _, part := range pooled.Parts {
		fmt.Println(part.Shape().Dimensions)
	}
	fmt.Println(l.Leave(pooled).Shape().Dimensions)
	// Output:
	// 6 3 8 10
	// [6 8 10 3]
	// [6 3 8 10]
}
