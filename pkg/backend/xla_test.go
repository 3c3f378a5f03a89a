//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && arm64))

package backend

import (
	"reflect"
	"testing"

	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

// ProgramMemory reads what go-xla does not show; another version may have moved it.
func TestXLAsReckoningOfMemoryIsWhereWeLook(t *testing.T) {
	field, ok := reflect.TypeFor[xla.Executable]().FieldByName("exec")
	if !ok || field.Type != reflect.TypeFor[*pjrt.LoadedExecutable]() {
		t.Fatalf("xla.Executable has no field exec of the type that is expected: %v", field.Type)
	}
	x := &pjrt.LoadedExecutable{OnDeviceMemoryUsageStats: pjrt.ExecutableMemoryUsageStats{GeneratedCode: 1, Inputs: 20, Outputs: 300, Aliases: 4000, Temporary: 50000}}
	if got, want := needs(reflect.ValueOf(x).Elem()), x.OnDeviceMemoryUsageStats.Requirements(); got != want {
		t.Errorf("got %d bytes, want %d", got, want)
	}
	if got := ProgramMemory(&xla.Executable{}); got != 0 {
		t.Errorf("a program that is not there needs %d bytes, want 0", got)
	}
}
