package vgg_test

import (
	"fmt"

	"rekindle/pkg/loss/vgg"
)

// A file with the layers of VGG16, narrower ones. Training gives the weights to
// loss.Combined.
func ExampleOpen() {
	weights, err := vgg.Open("../testdata/vgg_small.pth")
	if err != nil {
		panic(err)
	}
	for i, c := range weights {
		fmt.Printf("features.%d: %d to %d\n", vgg.Indices[i], c.In, c.Out)
	}

	_, err = vgg.Open("vgg16.pth")
	fmt.Println(err)
	// Output:
	// features.0: 3 to 4
	// features.2: 4 to 4
	// features.5: 4 to 6
	// features.7: 6 to 6
	// features.10: 6 to 8
	// features.12: 8 to 8
	// features.14: 8 to 8
	// there is no file vgg16.pth; get torchvision's weights of vgg16 from https://download.pytorch.org/models/vgg16-397923af.pth
}
