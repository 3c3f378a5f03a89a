package degrade

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"rekindle/pkg/derived"
	"rekindle/pkg/rgb"

	"rekindle/pkg/picture"
)

// cleanFolder makes n small pictures a00.png, a01.png, ...
func cleanFolder(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		savePicture(t, filepath.Join(dir, fmt.Sprintf("a%02d.png", i)), uint8(60+10*i))
	}
	return dir
}

func savePicture(t *testing.T, path string, level uint8) {
	t.Helper()
	if err := flat(20, 15, level).SavePNG(path); err != nil {
		t.Fatal(err)
	}
}

func fill(t *testing.T, clean, out string, d Degradation, seed int64) int {
	t.Helper()
	n, err := Folder(context.Background(), clean, out, d, seed, nil)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// contents reads all pictures of a folder.
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

func assertSame(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s differs from a fresh generation", name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the folder holds %d pictures, want %d", len(got), len(want))
	}
}

func assertNothingUnfinished(t *testing.T, dir string) {
	t.Helper()
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".unfinished") {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

var noise = Gaussian{Sigma: 30}

func TestAFolderHoldsTheNoisyCopyOfEachPictureUnderItsStem(t *testing.T) {
	clean, out := cleanFolder(t, 3), filepath.Join(t.TempDir(), "gaussian", "sigma_30", "train")
	if err := os.Rename(filepath.Join(clean, "a01.png"), filepath.Join(clean, "b.JPG")); err != nil {
		t.Fatal(err)
	}
	if n := fill(t, clean, out, noise, 7); n != 3 {
		t.Errorf("made %d copies, want 3", n)
	}
	for name, source := range map[string]string{"a00.png": "a00.png", "b.png": "b.JPG", "a02.png": "a02.png"} {
		im, err := rgb.Load(filepath.Join(clean, source))
		if err != nil {
			t.Fatal(err)
		}
		got, err := rgb.Load(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		if want := noise.Apply(im, Source(7, source)); !slices.Equal(got.Pix, want.Pix) {
			t.Errorf("%s is not what seed and name give", name)
		}
	}
}

func TestACopyDependsOnItsOwnPictureOnly(t *testing.T) {
	few, many := cleanFolder(t, 2), cleanFolder(t, 9)
	outFew, outMany := t.TempDir(), t.TempDir()
	fill(t, few, outFew, noise, 1)
	fill(t, many, outMany, noise, 1)
	all := contents(t, outMany)
	for name, data := range contents(t, outFew) {
		if all[name] != data {
			t.Errorf("%s changes when other pictures lie beside it", name)
		}
	}
}

func TestACompleteFolderIsNotMadeAgain(t *testing.T) {
	clean, out := cleanFolder(t, 4), t.TempDir()
	fill(t, clean, out, noise, 1)
	n, err := Folder(context.Background(), clean, out, noise, 1, func(int, int) { t.Error("progress was reported without work") })
	if err != nil || n != 0 {
		t.Errorf("made %d copies (%v), want none", n, err)
	}
}

// interrupting cancels the work while a picture is being made.
type interrupting struct {
	Gaussian
	after  int32
	count  *atomic.Int32
	cancel context.CancelFunc
}

func (d interrupting) Apply(im *rgb.Image, r *rand.Rand) *rgb.Image {
	if d.count.Add(1) == d.after {
		d.cancel()
	}
	return d.Gaussian.Apply(im, r)
}

func TestAnInterruptedGenerationIsCompleted(t *testing.T) {
	clean, out := cleanFolder(t, 12), t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	n, err := Folder(ctx, clean, out, interrupting{noise, 3, new(atomic.Int32), cancel}, 1, nil)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("an interrupted call gives %v, want context.Canceled", err)
	}
	if n < 3 || n >= 12 {
		t.Fatalf("an interrupted call says it made %d of 12", n)
	}
	assertNothingUnfinished(t, out)
	if rest := fill(t, clean, out, noise, 1); rest != 12-n {
		t.Errorf("the next call made %d copies, want the %d that were missing", rest, 12-n)
	}
	fresh := t.TempDir()
	fill(t, clean, fresh, noise, 1)
	assertSame(t, contents(t, out), contents(t, fresh))
}

// A kill -9 in the midst of going from one sigma to another leaves a mixture
// that neither manifest may vouch for.
func TestAMixtureOfTwoStrengthsIsNeverTrusted(t *testing.T) {
	clean, out := cleanFolder(t, 12), t.TempDir()
	fill(t, clean, out, noise, 1)
	ctx, cancel := context.WithCancel(context.Background())
	other := Gaussian{Sigma: 60}
	if _, err := Folder(ctx, clean, out, interrupting{other, 3, new(atomic.Int32), cancel}, 1, nil); err == nil {
		t.Fatal("the interruption did not work")
	}
	fill(t, clean, out, noise, 1)
	fresh := t.TempDir()
	fill(t, clean, fresh, noise, 1)
	assertSame(t, contents(t, out), contents(t, fresh))
}

func put(t *testing.T, dir, name, data string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestBadFoldersGiveOneClearSentence(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	empty := t.TempDir()
	broken := cleanFolder(t, 2)
	put(t, broken, "bad.png", "not a picture")
	twins := cleanFolder(t, 1)
	put(t, twins, "a00.jpg", "")
	same := cleanFolder(t, 1)
	for _, c := range []struct {
		name, clean, out string
		is               error
		says             string
	}{
		{"missing", missing, t.TempDir(), fs.ErrNotExist, missing},
		{"empty", empty, t.TempDir(), ErrNoPictures, empty},
		{"unreadable picture", broken, t.TempDir(), picture.ErrFormat, "bad.png"},
		{"two pictures of one stem", twins, t.TempDir(), nil, "a00.jpg"},
		{"clean folder as output", same, same, nil, same},
	} {
		_, err := Folder(context.Background(), c.clean, c.out, noise, 1, nil)
		if err == nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v, want it to be %v", c.name, err, c.is)
		}
		if !strings.HasPrefix(err.Error(), "degrade: ") || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q is not one sentence that says %q", c.name, err, c.says)
		}
	}
	for name, data := range contents(t, same) {
		if name != "a00.png" || data == "" {
			t.Error("the clean folder was written to")
		}
	}
}

func TestAnotherSigmaSeedOrPictureIsNoticed(t *testing.T) {
	clean, out := cleanFolder(t, 4), t.TempDir()
	fill(t, clean, out, noise, 1)
	for _, c := range []struct {
		name   string
		change func()
		sigma  float64
		seed   int64
		want   int
	}{
		{"another sigma", func() {}, 31, 1, 4},
		{"another seed", func() {}, 31, 2, 4},
		{"a changed clean picture", func() { savePicture(t, filepath.Join(clean, "a00.png"), 200) }, 31, 2, 1},
		{"a new clean picture", func() { savePicture(t, filepath.Join(clean, "b.png"), 200) }, 31, 2, 1},
		{"a removed clean picture", func() { os.Remove(filepath.Join(clean, "a01.png")) }, 31, 2, 0},
		{"a clean picture saved in another format", func() {
			os.Rename(filepath.Join(clean, "a02.png"), filepath.Join(clean, "a02.jpg"))
		}, 31, 2, 1},
		{"nothing", func() {}, 31, 2, 0},
	} {
		c.change()
		if n := fill(t, clean, out, Gaussian{Sigma: c.sigma}, c.seed); n != c.want {
			t.Errorf("%s: made %d copies again, want %d", c.name, n, c.want)
		}
		fresh := t.TempDir()
		fill(t, clean, fresh, Gaussian{Sigma: c.sigma}, c.seed)
		assertSame(t, contents(t, out), contents(t, fresh))
	}
}

// Copies that an earlier version made of a lossy WebP are of pictures with other
// colours; those of PNGs are not made anew for that.
func TestCopiesOfPicturesThatAreReadOtherwiseNowAreMadeAnew(t *testing.T) {
	webp, err := os.ReadFile("../picture/testdata/lossy.webp")
	if err != nil {
		t.Fatal(err)
	}
	for name, anew := range map[string]int{"a.webp": 1, "a.png": 0} {
		clean, out := t.TempDir(), t.TempDir()
		if anew > 0 {
			put(t, clean, name, string(webp))
		} else {
			savePicture(t, filepath.Join(clean, name), 100)
		}
		fill(t, clean, out, Gaussian{Sigma: 10}, 1)
		manifest := filepath.Join(out, derived.ManifestName)
		text, err := os.ReadFile(manifest)
		if err != nil {
			t.Fatal(err)
		}
		put(t, out, derived.ManifestName, regexp.MustCompile(`"format": \d`).ReplaceAllString(string(text), `"format": 1`))
		if n := fill(t, clean, out, Gaussian{Sigma: 10}, 1); n != anew {
			t.Errorf("%s: %d copies are made anew, want %d", name, n, anew)
		}
	}
}
