package derived

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// place is a folder of sources and a folder of what is derived from them.
type place struct {
	sources, dir string
	recipe       Recipe
}

func newPlace(t *testing.T, n int) *place {
	t.Helper()
	p := &place{t.TempDir(), filepath.Join(t.TempDir(), "new", "folder"), first}
	for i := range n {
		put(t, p.sources, fmt.Sprintf("a%02d.txt", i), fmt.Sprintf("text number %d", i))
	}
	return p
}

// folder derives name.out from every name.txt: the recipe and the text.
func (p *place) folder(t *testing.T) Folder {
	t.Helper()
	f := Folder{Dir: p.dir, Recipe: p.recipe}
	for _, name := range names(t, p.sources) {
		f.Items = append(f.Items, Item{Name: strings.TrimSuffix(name, ".txt") + ".out", Source: filepath.Join(p.sources, name)})
	}
	f.Make = func(item Item, source []byte, w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s %d %s: %s", f.Recipe.Name, f.Recipe.Seed, item.Name, source)
		return err
	}
	return f
}

func (p *place) fill(t *testing.T) int {
	t.Helper()
	n, err := Fill(context.Background(), p.folder(t))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// names lists a folder without its manifest and lock.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != ManifestName && e.Name() != recordName && e.Name() != ".lock" {
			list = append(list, e.Name())
		}
	}
	return list
}

// assertFresh compares with what a first generation would give.
func (p *place) assertFresh(t *testing.T) {
	t.Helper()
	fresh := &place{p.sources, t.TempDir(), p.recipe}
	fresh.fill(t)
	want := names(t, fresh.dir)
	if got := names(t, p.dir); !slices.Equal(got, want) {
		t.Errorf("the folder holds %v, want %v", got, want)
	}
	for _, name := range want {
		if got, want := get(t, p.dir, name), get(t, fresh.dir, name); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
}

func get(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func put(t *testing.T, dir, name, data string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o666); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, dir, name string) {
	t.Helper()
	data := get(t, dir, name)
	put(t, dir, name, data[:len(data)/2])
}

func flip(t *testing.T, dir, name string) {
	t.Helper()
	data := []byte(get(t, dir, name))
	data[len(data)/2] ^= 1
	put(t, dir, name, string(data))
	touch(t, dir, name) // however coarse the file system's clock
}

func swap(t *testing.T, dir, a, b string) {
	t.Helper()
	pa, pb, tmp := filepath.Join(dir, a), filepath.Join(dir, b), filepath.Join(dir, "tmp")
	if err := errors.Join(os.Rename(pa, tmp), os.Rename(pb, pa), os.Rename(tmp, pb)); err != nil {
		t.Fatal(err)
	}
}

func touch(t *testing.T, dir, name string) {
	t.Helper()
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, name), later, later); err != nil {
		t.Fatal(err)
	}
}

func edit(t *testing.T, dir string, change func(*manifest)) {
	t.Helper()
	m, err := readManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	change(m)
	if err := m.write(dir); err != nil {
		t.Fatal(err)
	}
}
