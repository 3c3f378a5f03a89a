package float16_test

import (
	"fmt"

	"rekindle/pkg/checkpoint/float16"
)

func Example() {
	third := float16.Bits(1. / 3)
	fmt.Printf("%04x is %v\n", third, float16.Float32(third))
	fmt.Println(float16.Float32(float16.Bits(70000)))
	// Output:
	// 3555 is 0.33325195
	// +Inf
}
