package safetensors_test

import (
	"fmt"
	"os"
	"path/filepath"

	"rekindle/pkg/checkpoint/safetensors"
)

// A file of two tensors; only the header is read until one is asked for.
func Example() {
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "net.safetensors")

	check(safetensors.Save(path, []safetensors.Item{
		{Name: "conv.weight", Shape: []int{2, 3}, Float32: []float32{1, 2, 3, 4, 5, 6}},
		{Name: "conv.bias", Shape: []int{2}, Float32: []float32{0.5, 1. / 3}, Half: true},
	}, map[string]string{"trained_on": "leaves"}))

	f, err := safetensors.Open(path)
	check(err)
	defer f.Close()
	fmt.Println(f.Names(), f.Metadata["trained_on"])
	bias, ok := f.Tensor("conv.bias")
	if !ok {
		panic("it was written just now")
	}
	values, err := bias.Float32s()
	check(err)
	fmt.Println(bias.DType, bias.Shape, values)
	// Output:
	// [conv.weight conv.bias] leaves
	// F16 [2] [0.5 0.33325195]
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
