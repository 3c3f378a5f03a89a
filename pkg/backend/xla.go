//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && arm64))

package backend

import (
	"fmt"
	"reflect"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

const hasXLA = true

// A download in the middle of a notebook cell hangs for a minute where the
// network does not answer, so plugins are installed by the user, not by us.
func init() { xla.EnableAutoInstall(false) }

// ProgramMemory is how many bytes a compiled program needs on each device, by
// XLA's own reckoning: the program, its inputs, its results, and what lies
// between. 0: unknown.
func ProgramMemory(program compute.Executable) int64 {
	x, ok := program.(*xla.Executable)
	if !ok || x == nil {
		return 0
	}
	// go-xla logs these numbers, but has no call for them.
	loaded := reflect.ValueOf(x).Elem().FieldByName("exec")
	if loaded.Type() != reflect.TypeFor[*pjrt.LoadedExecutable]() || loaded.IsNil() {
		return 0
	}
	return needs(loaded.Elem())
}

func needs(loaded reflect.Value) int64 {
	stats := loaded.FieldByName("OnDeviceMemoryUsageStats")
	part := func(name string) int64 { return stats.FieldByName(name).Int() }
	return part("GeneratedCode") + part("Inputs") + part("Outputs") - part("Aliases") + part("Temporary")
}

// Plugin loads one of XLA's plugins by name, such as "cuda", or by path, and
// returns its file and the version of PJRT's interface that it speaks.
func Plugin(name string) (file, version string, err error) {
	defer Catch(&err)
	p, err := pjrt.GetPlugin(name)
	if err != nil {
		return "", "", &Error{err}
	}
	major, minor := p.Version()
	return p.Path(), fmt.Sprintf("%d.%d", major, minor), nil
}
