package model_test

import (
	"fmt"

	"rekindle/pkg/model"
)

// Networks are found by name, and recognised by their tensors, which two may share.
func Example() {
	net, err := model.New("unet", model.Options{Features: 64, Bilinear: true})
	if err != nil {
		panic(err)
	}
	fmt.Println(net.Name, "with", net.Shape())
	fmt.Println(net.NumParams(), "numbers are trained, the first of them in", net.Weights()[0].Name)

	shapes := map[string][]int{}
	for _, e := range net.Entries() {
		shapes[e.Name] = e.Shape
	}
	for _, n := range model.Recognise(shapes) {
		fmt.Println("the tensors fit", n.Name, n.Options.Features)
	}
	// Output:
	// unet with 64 features, bilinear upsampling
	// 17263107 numbers are trained, the first of them in inc.double_conv.0.weight
	// the tensors fit unet 64
	// the tensors fit unet_residual 64
}
