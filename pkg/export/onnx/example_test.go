package onnx_test

import (
	"fmt"
	"io"

	"rekindle/pkg/export/onnx"
)

// A network of one convolution. Mistakes are said when the file is written, so that
// no line before needs a check.
func Example() {
	g := onnx.NewGraph("edges")
	x := g.Input("image", onnx.Named("batch"), onnx.Fixed(1), onnx.Named("height"), onnx.Named("width"))
	w := g.Floats("conv.weight", []int{1, 1, 3, 3}, []float32{0, 1, 0, 1, -4, 1, 0, 1, 0})
	y := g.Node("Conv", "conv", []onnx.Value{x, w}, onnx.Ints("pads", 1, 1, 1, 1))
	g.Output(y, onnx.Named("batch"), onnx.Fixed(1), onnx.Named("height"), onnx.Named("width"))
	fmt.Println(g.Write(io.Discard, onnx.About{Producer: "example"})) // or g.Save("edges.onnx", ...)

	g.Floats("conv.weight", []int{1}, []float32{7})
	fmt.Println(g.Write(io.Discard, onnx.About{}))
	// Output:
	// <nil>
	// onnx: the name "conv.weight" is empty or given twice
}
