package lowering_test

import (
	"fmt"

	"rekindle/pkg/nn/lowering"
)

// Two pixels become three, their corners on each other or not.
func ExampleAlignedCorners() {
	for _, m := range []lowering.Matrix{lowering.AlignedCorners(2, 3), lowering.HalfPixels(2, 4)} {
		for row := range m.Rows {
			fmt.Println(m.Values[row*m.Columns : (row+1)*m.Columns])
		}
	}
	// Output:
	// [1 0]
	// [0.5 0.5]
	// [0 1]
	// [1 0]
	// [0.75 0.25]
	// [0.25 0.75]
	// [0 1]
}
