//go:build linux

package degrade

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/durable"
	"rekindle/pkg/internal/disk"
	"rekindle/pkg/rgb"
)

func TestCopiesAreMadeWhereCaseDoesNotCount(t *testing.T) {
	clean, odd := t.TempDir(), disk.Mounted(t, disk.Odd{FoldsCase: true})
	copies := filepath.Join(odd, "copies")
	for _, name := range []string{"Leaf.png", "leaf.png"} {
		if err := deadleaves.Image(20, 20, rand.New(rand.NewPCG(1, 1))).SavePNG(filepath.Join(clean, name)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Folder(context.Background(), clean, copies, Gaussian{Sigma: 25}, 1, nil)
	if err == nil || !strings.Contains(err.Error(), "Leaf.png and leaf.png are one name") {
		t.Errorf("two pictures whose copies are one file: %v", err)
	}
	if there, _ := rgb.List(copies); len(there) > 0 {
		t.Errorf("%q was made all the same", there)
	}
	if err := os.Rename(filepath.Join(clean, "leaf.png"), filepath.Join(clean, "other.png")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{2, 0} {
		if made, err := Folder(context.Background(), clean, copies, Gaussian{Sigma: 25}, 1, nil); err != nil || made != want {
			t.Errorf("%d copies were made (%v), want %d", made, err, want)
		}
	}
}

// meanwhile is a degradation that lets something else happen when it is asked for the
// first time: the first copies are begun by then.
type meanwhile struct {
	Gaussian
	once *sync.Once
	do   func()
}

func (m meanwhile) Apply(im *rgb.Image, r *rand.Rand) *rgb.Image {
	m.once.Do(m.do)
	return m.Gaussian.Apply(im, r)
}

// TestTwoMakeCopiesWhereThereAreNoLocks lets a second one work in a folder, from its
// beginning to its end, while the first has copies under construction.
func TestTwoMakeCopiesWhereThereAreNoLocks(t *testing.T) {
	clean, copies, alone := t.TempDir(), filepath.Join(disk.Mounted(t, disk.Odd{NoLocks: true}), "copies"), t.TempDir()
	const pictures = 8
	for i := range pictures {
		if err := deadleaves.Image(24, 24, rand.New(rand.NewPCG(1, uint64(i)))).SavePNG(filepath.Join(clean, fmt.Sprintf("%d.png", i))); err != nil {
			t.Fatal(err)
		}
	}
	noise := Gaussian{Sigma: 25}
	second := func() {
		if made, err := Folder(context.Background(), clean, copies, noise, 1, nil); err != nil || made != pictures {
			t.Errorf("the second made %d (%v)", made, err)
		}
	}
	if _, err := Folder(context.Background(), clean, copies, meanwhile{noise, &sync.Once{}, second}, 1, nil); err != nil {
		t.Errorf("the first: %v", err)
	}
	if made, err := Folder(context.Background(), clean, copies, noise, 1, nil); err != nil || made != 0 {
		t.Errorf("then %d more were made (%v)", made, err)
	}
	if _, err := Folder(context.Background(), clean, alone, noise, 1, nil); err != nil {
		t.Fatal(err)
	}
	for i := range pictures {
		name := fmt.Sprintf("%d.png", i)
		want, _ := os.ReadFile(filepath.Join(alone, name))
		if got, err := os.ReadFile(filepath.Join(copies, name)); len(want) == 0 || string(got) != string(want) {
			t.Errorf("%s has %d bytes (%v), want %d", name, len(got), err, len(want))
		}
	}
	if left, _ := filepath.Glob(filepath.Join(copies, durable.TempPrefix+"*")); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
}
