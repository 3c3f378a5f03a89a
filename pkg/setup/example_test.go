package setup_test

import (
	"fmt"
	"path/filepath"

	"rekindle/pkg/setup"
)

// A clone keeps what it installs in itself; All makes whatever is missing of it.
func ExampleClone() {
	clone := &setup.Clone{Dir: "/home/me/rekindle"}
	fmt.Println(clone.Relative(clone.Log()))
	fmt.Println(clone.Relative(filepath.Join(clone.Data(), "kernels")))
	fmt.Println(clone.Relative("/elsewhere"))
	// Output:
	// build/setup.log
	// build/jupyter/kernels
	// /elsewhere
}
