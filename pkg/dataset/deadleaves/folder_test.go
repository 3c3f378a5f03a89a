package deadleaves

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"rekindle/pkg/rgb"
)

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	names, err := rgb.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(data)
	}
	return all
}

// fill returns how many pictures had to be drawn.
func fill(t *testing.T, dir string, n int, seed int64) (drawn int) {
	t.Helper()
	if err := Folder(t.Context(), dir, n, 24, 16, seed, func(done, total int) {
		if done > total || total != n {
			t.Errorf("reported %d of %d, want up to %d", done, total, n)
		}
		drawn++
	}); err != nil {
		t.Fatal(err)
	}
	return drawn
}

func TestAFolderHoldsThePicturesOfItsSeed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "raw", "train")
	if n := fill(t, dir, 3, 5); n != 3 {
		t.Errorf("drew %d, want 3", n)
	}
	for i, name := range []string{"leaf_0000.png", "leaf_0001.png", "leaf_0002.png"} {
		im, err := rgb.Load(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if want := Image(24, 16, rand.New(rand.NewPCG(5, uint64(i)))); !slices.Equal(im.Pix, want.Pix) {
			t.Errorf("%s is not the picture of seed 5 and number %d", name, i)
		}
	}
}

func TestWhatIsThereIsKeptAndWhatIsMissingAdded(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 4, 5)
	whole := contents(t, dir)
	if n := fill(t, dir, 4, 5); n != 0 {
		t.Errorf("a complete folder: drew %d, want none", n)
	}
	if err := os.Truncate(filepath.Join(dir, "leaf_0001.png"), 100); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "leaf_0003.png")); err != nil {
		t.Fatal(err)
	}
	if n := fill(t, dir, 4, 5); n != 2 {
		t.Errorf("one cut short and one missing: drew %d, want 2", n)
	}
	if got := contents(t, dir); len(got) != 4 || got["leaf_0001.png"] != whole["leaf_0001.png"] || got["leaf_0003.png"] != whole["leaf_0003.png"] {
		t.Error("the completed folder differs from the first one")
	}
	if n := fill(t, dir, 6, 5); n != 2 {
		t.Errorf("two more asked for: drew %d, want 2", n)
	}
	if fill(t, dir, 2, 5); len(contents(t, dir)) != 2 {
		t.Errorf("fewer asked for: the folder holds %d, want 2", len(contents(t, dir)))
	}
}

func TestAnotherSeedDrawsAllAnew(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 3, 5)
	before := contents(t, dir)
	if n := fill(t, dir, 3, 6); n != 3 {
		t.Errorf("drew %d, want 3", n)
	}
	for name, data := range contents(t, dir) {
		if before[name] == data {
			t.Errorf("%s is still that of the other seed", name)
		}
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	for _, c := range [][3]int{{0, 8, 8}, {1, 0, 8}, {1, 8, -1}} {
		if err := Folder(t.Context(), t.TempDir(), c[0], c[1], c[2], 1, nil); err == nil {
			t.Errorf("%v was accepted", c)
		}
	}
}

func TestDrawingCanBeInterruptedAndCompleted(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	const n = 700 // pictures are put in place in batches of 500 at most
	drawn := 0
	err := Folder(ctx, dir, n, 24, 16, 1, func(int, int) {
		if drawn++; drawn == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || drawn == n {
		t.Fatalf("got %v after %d of %d pictures, want interrupted", err, drawn, n)
	}
	if again := fill(t, dir, n, 1); again != n-drawn {
		t.Errorf("%d were drawn, then %d, want %d", drawn, again, n-drawn)
	}
}
