package checkpoint

import (
	"os"
	"path/filepath"
	"testing"

	"rekindle/pkg/internal/allocation"
)

// FuzzState: a file of any content is refused or is a State that can be saved and
// loaded again.
func FuzzState(f *testing.F) {
	path := filepath.Join(f.TempDir(), "last_checkpoint.pth")
	for _, name := range []string{"pth/testdata/small_zip.pth", "pth/testdata/small_legacy.pth"} {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	s := &State{Cursor: Cursor{Epoch: 1}, Seed: 3, Model: []Tensor{
		{Name: "a.weight", Shape: []int{2, 1}, Values: []float32{1, 2}, First: []float32{3, 4}, Second: []float32{5, 6}},
	}}
	s.History.Resize(1)
	if err := Save(path, s); err != nil {
		f.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := os.WriteFile(path, raw, 0o666); err != nil {
			t.Fatal(err)
		}
		var s *State
		var err error
		// As for package pth, and the tensors, which may be shared.
		allocation.Within(t, len(raw), 20_000, 1<<20, func() { s, err = Load(path) })
		if _, e := Folder(filepath.Dir(path)).List(); e != nil {
			t.Fatal(e)
		}
		if err != nil {
			return
		}
		if err := Save(path, s); err != nil {
			return // such as a text that is not UTF-8
		}
		if _, err := Load(path); err != nil {
			t.Fatalf("saved again it cannot be loaded: %v", err)
		}
	})
}
