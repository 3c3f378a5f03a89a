package restore

import (
	"context"
	"errors"
	"image"
	"image/color"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"rekindle/pkg/backend"
	"rekindle/pkg/internal/gogc"
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

// looked is a picture that does something when it is read.
type looked struct {
	image.Image
	do func()
}

func (l looked) At(x, y int) color.Color {
	l.do()
	return l.Image.At(x, y)
}

func TestGarbageIsLimitedWhileRestoring(t *testing.T) {
	now := gogc.Set(t, 77)
	r := identity(t)
	during := 77
	im := looked{image.NewNRGBA(image.Rect(0, 0, 32, 32)), func() { during = now() }}
	if _, err := r.Image(t.Context(), im); err != nil {
		t.Fatal(err)
	}
	if during == 77 || now() != 77 {
		t.Errorf("%d percent while restoring, %d afterwards, where it was 77", during, now())
	}
}
