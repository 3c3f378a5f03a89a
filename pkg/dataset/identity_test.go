package dataset

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/rgb"
)

// gallery is a folder of clean pictures and one of degraded ones.
type gallery struct {
	t               *testing.T
	clean, degraded string
}

func newGallery(t *testing.T, names ...string) *gallery {
	t.Helper()
	t.Setenv("REKINDLE_CACHE_DIR", t.TempDir())
	top := t.TempDir()
	g := &gallery{t, filepath.Join(top, "clean"), filepath.Join(top, "degraded")}
	for _, dir := range []string{g.clean, g.degraded} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		for i, name := range names {
			g.paint(dir, name, byte(10*i+1))
		}
	}
	return g
}

func (g *gallery) paint(dir, name string, level byte) {
	g.t.Helper()
	im := rgb.New(20, 18)
	for i := range im.Pix {
		im.Pix[i] = level
	}
	if err := im.SavePNG(filepath.Join(dir, name)); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gallery) pictures() Pictures {
	g.t.Helper()
	set, err := Open(g.degraded, g.clean, 16, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	p, err := set.Pictures()
	if err != nil {
		g.t.Fatal(err)
	}
	return p
}

func (g *gallery) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// both does the same in the two folders.
func (g *gallery) both(do func(dir string)) {
	do(g.clean)
	do(g.degraded)
}

func TestPicturesAreKnownByNameAndContentWhereverTheyLie(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(g *gallery)
		want   Changes
	}{
		{"nothing", func(*gallery) {}, Changes{Remain: 3}},
		{"moved", func(g *gallery) {
			to := filepath.Join(g.t.TempDir(), "elsewhere")
			g.must(os.Rename(filepath.Dir(g.clean), to))
			g.clean, g.degraded = filepath.Join(to, "clean"), filepath.Join(to, "degraded")
		}, Changes{Remain: 3}},
		{"copied, with new times", func(g *gallery) {
			for _, dir := range []*string{&g.clean, &g.degraded} {
				to := g.t.TempDir()
				g.must(os.CopyFS(to, os.DirFS(*dir)))
				*dir = to
			}
		}, Changes{Remain: 3}},
		{"touched", func(g *gallery) {
			g.must(os.Chtimes(filepath.Join(g.clean, "a.png"), time.Now(), time.Unix(1e9, 0)))
		}, Changes{Remain: 3}},
		{"one added", func(g *gallery) { g.both(func(dir string) { g.paint(dir, "d.png", 99) }) }, Changes{Added: 1, Remain: 3}},
		{"two gone", func(g *gallery) {
			g.both(func(dir string) {
				g.must(os.Remove(filepath.Join(dir, "a.png")))
				g.must(os.Remove(filepath.Join(dir, "b.png")))
			})
		}, Changes{Gone: 2, Remain: 1}},
		{"a clean one changed", func(g *gallery) { g.paint(g.clean, "b.png", 200) }, Changes{Changed: 1, Remain: 2}},
		{"a degraded one of somebody's own changed", func(g *gallery) { g.paint(g.degraded, "b.png", 200) }, Changes{Changed: 1, Remain: 3}},
		{"one renamed", func(g *gallery) {
			g.both(func(dir string) { g.must(os.Rename(filepath.Join(dir, "a.png"), filepath.Join(dir, "z.png"))) })
		}, Changes{Added: 1, Gone: 1, Remain: 3}},
		{"all replaced", func(g *gallery) {
			g.both(func(dir string) {
				for i, name := range []string{"a.png", "b.png", "c.png"} {
					g.paint(dir, name, byte(100+i))
				}
			})
		}, Changes{Changed: 3}},
		{"one too small for a patch", func(g *gallery) {
			g.both(func(dir string) { g.must(rgb.New(15, 40).SavePNG(filepath.Join(dir, "small.png"))) })
		}, Changes{Remain: 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGallery(t, "a.png", "b.png", "c.png")
			before := g.pictures()
			c.change(g)
			after := g.pictures()
			if got := after.Since(before); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if got, want := after.Since(before).Any(), c.want != (Changes{Remain: 3}); got != want {
				t.Errorf("anything changed: %v, want %v", got, want)
			}
			if after.Folder != g.clean {
				t.Errorf("the folder is %s, want %s", after.Folder, g.clean)
			}
		})
	}
}

// Copies that were made here follow from the clean pictures and the recipe: they
// may be made again, and on another machine, and are the same.
func TestCopiesMadeHereAreNamedByTheirRecipe(t *testing.T) {
	g := newGallery(t, "a.png", "b.png")
	g.must(os.RemoveAll(g.degraded))
	fill := func(sigma float64) Pictures {
		t.Helper()
		if _, err := degrade.Folder(context.Background(), g.clean, g.degraded, degrade.Gaussian{Sigma: sigma}, 7, nil); err != nil {
			t.Fatal(err)
		}
		return g.pictures()
	}
	first := fill(30)
	if first.Degraded != "gaussian/sigma_30, seed 7" || first.Pictures[0].Degraded != "" {
		t.Errorf("got %+v", first)
	}
	second := fill(50)
	if second.Since(first).Any() || second.Degraded == first.Degraded {
		t.Errorf("other noise: %s and %s, %+v", first.Degraded, second.Degraded, second.Since(first))
	}
	// One of somebody's own in the place of a copy is a picture of its own.
	g.paint(g.degraded, "a.png", 77)
	if mixed := g.pictures(); mixed.Pictures[0].Degraded == "" || mixed.Since(second) != (Changes{Changed: 1, Remain: 2}) {
		t.Errorf("got %+v", mixed)
	}
}

func TestBuiltInPicturesAreKnownAsSuch(t *testing.T) {
	g := newGallery(t)
	g.must(deadleaves.Folder(t.Context(), g.clean, 2, 20, 20, 1, nil))
	g.degraded = g.clean
	p := g.pictures()
	if !p.Drawn || p.Pictures[0].Degraded != "" {
		t.Errorf("got %+v", p)
	}
	g.paint(g.clean, "mine.png", 1)
	if g.pictures().Drawn {
		t.Error("a folder with somebody's own picture counts as built in")
	}
}

func TestTheIdentityCanBeReadAndChecked(t *testing.T) {
	g := newGallery(t, "a name with  spaces.png", "b.png")
	id := Identity{Train: g.pictures(), Val: g.pictures()}
	path := filepath.Join(t.TempDir(), "data.json")
	g.must(id.Save(path))
	back, err := LoadIdentity(path)
	if err != nil || !reflect.DeepEqual(back, id) {
		t.Errorf("got %+v (%v), want %+v", back, err, id)
	}
	var raw struct{ Train struct{ Pictures []string } }
	text, err := os.ReadFile(path)
	g.must(err)
	g.must(json.Unmarshal(text, &raw))
	sum, err := exec.Command("sha256sum", filepath.Join(g.clean, "b.png")).Output()
	if err != nil {
		t.Skip("no sha256sum here")
	}
	if line := raw.Train.Pictures[1]; !strings.HasPrefix(line, string(sum[:64])+" ") || !strings.HasSuffix(line, "  b.png") {
		t.Errorf("got %q, want the checksum %s", line, sum)
	}
}

// The second look at a folder reads no file: unreadable ones are no obstacle.
func TestAFileIsReadOnceForItsChecksum(t *testing.T) {
	g := newGallery(t, "a.png", "b.png")
	path, old := filepath.Join(g.clean, "a.png"), time.Now().Add(-time.Hour)
	sums := func() string {
		t.Helper()
		d := openDigests(g.clean)
		sum, err := d.of("a.png")
		g.must(err)
		d.save()
		return sum
	}
	g.must(os.Chtimes(path, old, old))
	first := sums()
	spoil := func(modified time.Time) { // the same size and inode
		raw, err := os.ReadFile(path)
		g.must(err)
		raw[len(raw)/2] ^= 1
		g.must(os.WriteFile(path, raw, 0o666))
		g.must(os.Chtimes(path, modified, modified))
	}
	spoil(old) // so that a look at size, time and inode cannot tell
	if sums() != first {
		t.Error("a file that looks unchanged was read again")
	}
	spoil(old)
	spoil(old.Add(time.Second))
	if sums() == first {
		t.Error("a changed file was not read again")
	}
	// What has changed a moment ago is not remembered: it may change again unnoticed.
	now := time.Now()
	g.must(os.Chtimes(path, now, now))
	last := sums()
	spoil(now)
	if sums() == last {
		t.Error("a file that changed twice within a tick of the clock was taken for the one before")
	}
}

func TestWithoutACacheChecksumsAreComputed(t *testing.T) {
	g := newGallery(t, "a.png")
	want := g.pictures()
	for _, dir := range []string{"off", "/proc/nowhere"} {
		t.Setenv("REKINDLE_CACHE_DIR", dir)
		if got := g.pictures(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", dir, got, want)
		}
	}
}
