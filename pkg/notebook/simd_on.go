//go:build goexperiment.simd

package notebook

// vectorCode says whether the Go engine was compiled with vector instructions.
const vectorCode = true
