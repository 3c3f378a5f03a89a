//go:build !(cgo && ((linux && (amd64 || arm64)) || (darwin && arm64)))

package backend

import "github.com/gomlx/compute"

// hasXLA is false where there is no C compiler to build the plugin loader with.
const hasXLA = false

// ProgramMemory is how many bytes a compiled program needs; 0: unknown.
func ProgramMemory(compute.Executable) int64 { return 0 }
