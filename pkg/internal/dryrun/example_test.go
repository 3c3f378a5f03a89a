//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && arm64))

package dryrun_test

import (
	"fmt"
	"strings"

	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/internal/dryrun"
)

// What XLA would be given for the product of two matrices.
func Example() {
	engine := dryrun.New(1)
	product, err := graph.NewExec(engine, func(a, b *graph.Node) *graph.Node { return graph.MatMul(a, b) })
	if err != nil {
		panic(err)
	}
	out, err := product.Call([][]float32{{1, 2}, {3, 4}}, [][]float32{{1}, {10}})
	if err != nil {
		panic(err)
	}
	fmt.Println(out[0].Value()) // nothing is computed
	fmt.Println(strings.Contains(engine.Programs()[0].Text, `"stablehlo.dot_general"(%arg0, %arg1)`))
	// Output:
	// [[0] [0]]
	// true
}
