package im2col_test

import (
	"fmt"
	"log"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/backend"
	"rekindle/pkg/nn/im2col"
)

// Six images become four shards [images, channels, pixels].
func Example() {
	engine, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	g := graph.NewGraph(engine.Backend, "example")
	images := graph.Parameter(g, "images", shapes.Make(dtypes.Float32, 6, 3, 16, 20))
	l := im2col.Lowering{}
	pooled := l.MaxPool(l.Enter(images))
	fmt.Println(pooled.N, pooled.C, pooled.H, pooled.W)
	for _, part := range pooled.Parts {
		fmt.Println(part.Shape().Dimensions)
	}
	fmt.Println(l.Leave(pooled).Shape().Dimensions)
	// Output:
	// 6 3 8 10
	// [1 3 80]
	// [2 3 80]
	// [1 3 80]
	// [2 3 80]
	// [6 3 8 10]
}
