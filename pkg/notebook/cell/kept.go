package cell

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rekindle/pkg/durable"
)

// Kept is a value that a kernel remembers for the cells below: in a file of GoNB's
// folder for this kernel, which goes with the kernel. A program that is no cell keeps
// it in memory.
//
// A cell whose settings must not outlive it empties the file before its Go code is
// compiled; what became of the cell is then known whatever happened to it.
type Kept[T any] struct {
	file string
	here *T
}

// Keep names the file of a value.
func Keep[T any](file string) *Kept[T] { return &Kept[T]{file: file} }

var (
	// ErrNotKept says that no cell has saved the value in this kernel.
	ErrNotKept = errors.New("not remembered")
	// ErrUnfinished says that the cell that saves the value did not run to its end.
	ErrUnfinished = errors.New("not remembered to its end")
)

// inKernel is the path of a file in the kernel's folder, "" outside of a kernel.
func inKernel(file string) string {
	if dir := os.Getenv("GONB_TMP_DIR"); dir != "" {
		return filepath.Join(dir, file)
	}
	return ""
}

// Load returns the value, or [ErrNotKept], [ErrUnfinished] or why it cannot be read.
func (k *Kept[T]) Load() (value T, err error) {
	path := inKernel(k.file)
	if path == "" {
		if k.here == nil {
			return value, ErrNotKept
		}
		return *k.here, nil
	}
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return value, ErrNotKept
	case err != nil:
		return value, err
	case len(strings.TrimSpace(string(raw))) == 0:
		return value, ErrUnfinished
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		return value, fmt.Errorf("%s: %w", path, err)
	}
	return value, nil
}

// Save remembers the value.
func (k *Kept[T]) Save(value T) error {
	path := inKernel(k.file)
	if path == "" {
		k.here = &value
		return nil
	}
	return durable.WriteJSON(path, value)
}
