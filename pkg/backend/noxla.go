//go:build !(cgo && ((linux && (amd64 || arm64)) || (darwin && arm64)))

package backend

import (
	"errors"

	"github.com/gomlx/compute"
)

// hasXLA is false where there is no C compiler to build the plugin loader with.
const hasXLA = false

// ProgramMemory is how many bytes a compiled program needs; 0: unknown.
func ProgramMemory(compute.Executable) int64 { return 0 }

// Plugin would load one of XLA's plugins.
func Plugin(string) (file, version string, err error) {
	return "", "", errors.New("this program was built without cgo, so without XLA")
}
