package restore

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"rekindle/pkg/backend"
)

// full is an engine without room for any computation.
type full struct{ compute.Backend }

func (f full) Builder(name string) compute.Builder { return fullBuilder{f.Backend.Builder(name)} }

type fullBuilder struct{ compute.Builder }

func (fullBuilder) Compile() (compute.Executable, error) {
	return nil, errors.New("PJRT error (code=8): RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes\nand pages of stack")
}

func TestOutOfMemorySaysWhatToDo(t *testing.T) {
	r := identity(t)
	r.engine = full{r.engine}
	if err := r.reset(&r.patches); err != nil {
		t.Fatal(err)
	}
	_, err := r.Batch(context.Background(), make([]float32, 2*3*32*32), 2, 32, 32)
	if err == nil || !backend.IsOutOfMemory(err) || !strings.Contains(err.Error(), "smaller BatchSize") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %q, want one line that says out of memory and what to do", err)
	}
}
