package photographs

import (
	"archive/tar"
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"rekindle/pkg/rgb"
)

func TestAPackagesPicturesAreShrunkAndDivided(t *testing.T) {
	im, err := text(1200, 640, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	var png, packed bytes.Buffer
	if err := rgb.FromImage(im).WritePNG(&png); err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(&packed)
	for _, name := range []string{"./usr/share/a.png", "./usr/share/held.png", "./usr/share/other.png"} {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(png.Len())}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write(png.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	g := gathering{ctx: t.Context(), dir: t.TempDir()}
	for _, part := range []string{"train", "val"} {
		if err := os.Mkdir(filepath.Join(g.dir, part), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.pictures(tar.NewReader(&packed), map[string]int{"usr/share/a.png": 7, "usr/share/held.png": 34}); err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string][]string{"train": {"photo_007_520.png", "photo_007_900.png"}, "val": {"photo_034_520.png"}} {
		names, err := rgb.List(filepath.Join(g.dir, part))
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("%s holds %q (%v), want %q", part, names, err, want)
		}
	}
	small, err := rgb.Load(g.file(7, 520))
	if err != nil || small.W != 520 || small.H != 277 {
		t.Errorf("the smallest is %v (%v), want 520x277", small, err)
	}
	if !g.complete(7) || !g.complete(34) || g.complete(8) {
		t.Error("what is there is made again, or what is not is taken to be")
	}
}

func TestNoPictureIsListedTwice(t *testing.T) {
	seen := map[int]bool{}
	add := func(number int) {
		if seen[number] {
			t.Errorf("two pictures have the number %d", number)
		}
		seen[number] = true
	}
	for _, a := range archives {
		for _, number := range a.pictures {
			add(number)
		}
	}
	for number := range single {
		add(number)
	}
	for number := range held {
		if !seen[number] {
			t.Errorf("picture %d, to validate with, is not listed", number)
		}
	}
}
