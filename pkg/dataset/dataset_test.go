package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/rgb"

	"rekindle/pkg/picture"
)

// marked is a picture whose pixel (x, y) tells x, y and mark.
func marked(w, h int, mark uint8) *rgb.Image {
	im := rgb.New(w, h)
	for y := range h {
		for x := range w {
			copy(im.Pix[(y*w+x)*3:], []uint8{uint8(x), uint8(y), mark})
		}
	}
	return im
}

func save(t testing.TB, im *rgb.Image, parts ...string) {
	t.Helper()
	path := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := im.SavePNG(path); err != nil {
		t.Fatal(err)
	}
}

// folders makes n pairs of w by h pixels. Clean picture i is marked 2i, the
// degraded one 2i+1.
func folders(t testing.TB, n, w, h int) (degraded, clean string) {
	t.Helper()
	dir := t.TempDir()
	degraded, clean = filepath.Join(dir, "degraded"), filepath.Join(dir, "clean")
	for i := range n {
		name := fmt.Sprintf("p%03d.png", i)
		save(t, marked(w, h, uint8(2*i)), clean, name)
		save(t, marked(w, h, uint8(2*i+1)), degraded, name)
	}
	return degraded, clean
}

// held is a picture in memory.
func held(im *rgb.Image) *photo { return &photo{w: im.W, h: im.H, im: im} }

func openSet(t testing.TB, n, w, h, patch int) *Set {
	t.Helper()
	degraded, clean := folders(t, n, w, h)
	s, err := Open(degraded, clean, patch, func(w string) { t.Errorf("warning: %s", w) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestASetHoldsThePairsInTheOrderOfTheirNames(t *testing.T) {
	s := openSet(t, 3, 20, 10, 8)
	if s.Images() != 3 {
		t.Fatalf("%d pairs, want 3", s.Images())
	}
	for i := range 3 {
		name, degraded, clean, err := s.Pair(i)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("p%03d", i); name != want {
			t.Errorf("pair %d is called %q, want %q", i, name, want)
		}
		if !slices.Equal(clean.Pix, marked(20, 10, uint8(2*i)).Pix) || !slices.Equal(degraded.Pix, marked(20, 10, uint8(2*i+1)).Pix) {
			t.Errorf("pair %d holds other pixels than its files", i)
		}
	}
}

func TestPairsAreFoundByStemWhateverTheEnding(t *testing.T) {
	degraded, clean := folders(t, 2, 8, 8)
	if err := os.Rename(filepath.Join(clean, "p000.png"), filepath.Join(clean, "p000.JPG")); err != nil {
		t.Fatal(err)
	}
	s, err := Open(degraded, clean, 8, nil)
	if err != nil || s.Images() != 2 {
		t.Errorf("got %v, want two pairs", err)
	}
}

func TestPicturesSmallerThanAPatchAreSkippedWithAWarning(t *testing.T) {
	degraded, clean := folders(t, 2, 16, 16)
	for _, dir := range []string{degraded, clean} {
		save(t, marked(40, 15, 9), dir, "low.png")
	}
	var warnings []string
	s, err := Open(degraded, clean, 16, func(w string) { warnings = append(warnings, w) })
	if err != nil {
		t.Fatal(err)
	}
	if s.Images() != 2 {
		t.Errorf("%d pairs are left, want 2", s.Images())
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "low.png (40 x 15)") {
		t.Errorf("warnings are %q, want one about low.png", warnings)
	}
	if _, err := Open(degraded, clean, 17, nil); !errors.Is(err, ErrTooSmall) {
		t.Errorf("with nothing left: %v, want ErrTooSmall", err)
	}
}

func TestWhatIsWrongWithTheFoldersIsSaidInOneSentence(t *testing.T) {
	type dirs struct{ degraded, clean string }
	as := func(target any) func(error) bool { return func(err error) bool { return errors.As(err, target) } }
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	var mismatch *MismatchError
	var size *SizeError
	for _, c := range []struct {
		name    string
		disturb func(d dirs) dirs
		kind    func(error) bool
		says    []string
	}{
		{"missing degraded folder", func(d dirs) dirs { d.degraded += "x"; return d }, is(fs.ErrNotExist), []string{"degraded", "degradedx"}},
		{"missing clean folder", func(d dirs) dirs { d.clean += "x"; return d }, is(fs.ErrNotExist), []string{"clean", "cleanx"}},
		{"a file for a folder", func(d dirs) dirs { d.clean += "/p000.png"; return d }, nil, []string{"p000.png"}},
		{"empty folder", func(d dirs) dirs { d.clean = t.TempDir(); return d }, is(ErrEmpty), []string{"clean"}},
		{"unreadable picture", func(d dirs) dirs {
			os.WriteFile(filepath.Join(d.degraded, "p001.png"), []byte("text"), 0o666)
			return d
		}, is(picture.ErrFormat), []string{"degraded/p001.png"}},
		{"picture cut short", func(d dirs) dirs {
			path := filepath.Join(d.clean, "p002.png")
			data, _ := os.ReadFile(path)
			os.WriteFile(path, data[:len(data)-30], 0o666)
			return d
		}, is(picture.ErrDamaged), []string{"clean/p002.png"}},
		{"pictures without partner", func(d dirs) dirs {
			os.Remove(filepath.Join(d.degraded, "p000.png"))
			os.Remove(filepath.Join(d.clean, "p001.png"))
			return d
		}, as(&mismatch), []string{"p000.png", "p001.png", "no clean picture", "no degraded picture"}},
		{"sizes that differ", func(d dirs) dirs { save(t, marked(12, 13, 0), d.clean, "p001.png"); return d },
			as(&size), []string{"p001.png", "12 x 13", "16 x 16"}},
		{"two pictures of one stem", func(d dirs) dirs { save(t, marked(16, 16, 0), d.clean, "p001.jpg"); return d },
			nil, []string{"p001.jpg", "p001.png"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			degraded, clean := folders(t, 4, 16, 16)
			d := c.disturb(dirs{degraded, clean})
			_, err := Open(d.degraded, d.clean, 8, nil)
			if err == nil {
				t.Fatal("accepted")
			}
			if c.kind != nil && !c.kind(err) {
				t.Errorf("%v is not of the promised kind", err)
			}
			if !strings.HasPrefix(err.Error(), "dataset: ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q is not one sentence of this package", err)
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
	if _, err := Open("a", "b", 0, nil); err == nil {
		t.Error("a patch size of 0 was accepted")
	}
}

func TestALongListOfMismatchesIsCutShort(t *testing.T) {
	degraded, clean := folders(t, 30, 4, 4)
	for i := range 20 {
		os.Remove(filepath.Join(degraded, fmt.Sprintf("p%03d.png", i)))
	}
	_, err := Open(degraded, clean, 4, nil)
	if err == nil || !strings.Contains(err.Error(), "p004.png and 15 more") {
		t.Errorf("got %q, want five names and the number of the others", err)
	}
}

func TestAPairMaySpellItsAccentsInTwoWays(t *testing.T) {
	degraded, clean := t.TempDir(), t.TempDir()
	for _, name := range []string{"caf\xe9.png", "b.png"} {
		save(t, marked(20, 20, 1), degraded, name)
		save(t, marked(20, 20, 1), clean, name)
	}
	save(t, marked(20, 20, 2), degraded, "\u00e9t\u00e9.png")
	save(t, marked(20, 20, 2), clean, "e\u0301te\u0301.png")
	// What macOS leaves beside pictures, and a link to a disk that is not there.
	for _, junk := range []string{"._b.png", "._x.png"} {
		if err := os.WriteFile(filepath.Join(clean, junk), []byte("attributes"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/none/far.png", filepath.Join(clean, "far.png")); err != nil {
		t.Fatal(err)
	}
	var warned []string
	set, err := Open(degraded, clean, 16, func(line string) { warned = append(warned, line) })
	if err != nil || set.Images() != 3 || len(warned) != 1 || !strings.Contains(warned[0], "far.png is passed over: it is a link to /none/far.png") {
		t.Fatalf("%v, warned %q", err, warned)
	}
	before, err := set.Pictures()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	var read Pictures
	if err := json.Unmarshal(raw, &read); err != nil || before.Since(read).Any() || read.Since(before).Any() {
		t.Errorf("read from a file these are other pictures: %v (%v)", before.Since(read), err)
	}
	if err := os.Rename(filepath.Join(clean, "e\u0301te\u0301.png"), filepath.Join(clean, "\u00e9t\u00e9.png")); err != nil {
		t.Fatal(err)
	}
	if set, err = Open(degraded, clean, 16, nil); err != nil {
		t.Fatal(err)
	}
	after, err := set.Pictures()
	if c := after.Since(before); err != nil || c.Added+c.Gone+c.Changed > 0 {
		t.Errorf("spelt in another way, pictures are others: %v (%v)", c, err)
	}
	save(t, marked(20, 20, 2), clean, "e\u0301te\u0301.png")
	if _, err := Open(degraded, clean, 16, nil); err == nil || !strings.Contains(err.Error(), "rename one") {
		t.Errorf("both spellings in one folder: %v", err)
	}
}
