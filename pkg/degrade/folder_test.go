package degrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rekindle/pkg/rgb"
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
	stamp, err := os.Stat(filepath.Join(out, ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	n, err := Folder(context.Background(), clean, out, noise, 1, func(int, int) { t.Error("progress was reported without work") })
	if err != nil || n != 0 {
		t.Errorf("made %d copies (%v), want none", n, err)
	}
	if again, _ := os.Stat(filepath.Join(out, ManifestName)); again.ModTime() != stamp.ModTime() {
		t.Error("the manifest was written again")
	}
}

// Each case disturbs a complete folder of four copies; want is the number that
// has to be made again.
func TestExactlyWhatIsStaleIsMadeAgain(t *testing.T) {
	type place struct{ clean, out string }
	cases := []struct {
		name    string
		disturb func(t *testing.T, p place)
		sigma   float64
		seed    int64
		want    int
	}{
		{"a deleted copy", func(t *testing.T, p place) { remove(t, p.out, "a01.png") }, 30, 1, 1},
		{"a truncated copy", func(t *testing.T, p place) { truncate(t, p.out, "a02.png") }, 30, 1, 1},
		{"an empty copy", func(t *testing.T, p place) { put(t, p.out, "a02.png", "") }, 30, 1, 1},
		{"a copy with one byte changed", func(t *testing.T, p place) { flip(t, p.out, "a03.png") }, 30, 1, 1},
		{"two copies swapped", func(t *testing.T, p place) { swap(t, p.out, "a00.png", "a01.png") }, 30, 1, 2},
		{"a changed clean picture", func(t *testing.T, p place) { savePicture(t, filepath.Join(p.clean, "a00.png"), 200) }, 30, 1, 1},
		{"a new clean picture", func(t *testing.T, p place) { savePicture(t, filepath.Join(p.clean, "b.png"), 200) }, 30, 1, 1},
		{"a removed clean picture", func(t *testing.T, p place) { remove(t, p.clean, "a00.png") }, 30, 1, 0},
		{"a clean picture saved in another format", func(t *testing.T, p place) {
			if err := os.Rename(filepath.Join(p.clean, "a00.png"), filepath.Join(p.clean, "a00.jpg")); err != nil {
				t.Fatal(err)
			}
		}, 30, 1, 1},
		{"another sigma", func(*testing.T, place) {}, 31, 1, 4},
		{"another seed", func(*testing.T, place) {}, 30, 2, 4},
		{"files touched but not changed", func(t *testing.T, p place) { touch(t, p.clean, "a00.png"); touch(t, p.out, "a01.png") }, 30, 1, 0},
		{"a damaged manifest", func(t *testing.T, p place) { truncate(t, p.out, ManifestName) }, 30, 1, 4},
		{"a lost manifest", func(t *testing.T, p place) { remove(t, p.out, ManifestName) }, 30, 1, 4},
		{"a manifest of an older format", func(t *testing.T, p place) {
			edit(t, p.out, func(m *manifest) { m.Format-- })
		}, 30, 1, 4},
		{"a killed generation's rest", func(t *testing.T, p place) {
			put(t, p.out, ".unfinished-a00.png-123", "half")
			edit(t, p.out, func(m *manifest) { delete(m.Pictures, "a00.png"); delete(m.Pictures, "a03.png") })
			remove(t, p.out, "a03.png")
		}, 30, 1, 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := place{cleanFolder(t, 4), t.TempDir()}
			fill(t, p.clean, p.out, noise, 1)
			c.disturb(t, p)
			if n := fill(t, p.clean, p.out, Gaussian{Sigma: c.sigma}, c.seed); n != c.want {
				t.Errorf("made %d copies again, want %d", n, c.want)
			}
			fresh := t.TempDir()
			fill(t, p.clean, fresh, Gaussian{Sigma: c.sigma}, c.seed)
			assertSame(t, contents(t, p.out), contents(t, fresh))
			assertNothingUnfinished(t, p.out)
			if n := fill(t, p.clean, p.out, Gaussian{Sigma: c.sigma}, c.seed); n != 0 {
				t.Errorf("a third call still makes %d copies", n)
			}
		})
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, dir, name, data string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o666); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, dir, name string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, name, string(data[:len(data)/2]))
}

func flip(t *testing.T, dir, name string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
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

func TestPicturesThatWereNotMadeHereAreNotOverwritten(t *testing.T) {
	clean, out := cleanFolder(t, 3), t.TempDir()
	put(t, out, "a01.png", "somebody's only copy")
	_, err := Folder(context.Background(), clean, out, noise, 1, nil)
	if !errors.Is(err, ErrForeign) {
		t.Errorf("got %v, want ErrForeign", err)
	}
	if got := contents(t, out); len(got) != 1 || got["a01.png"] != "somebody's only copy" {
		t.Errorf("the folder now holds %d pictures", len(got))
	}
}

func TestOtherFilesInTheFolderAreLeftAlone(t *testing.T) {
	clean, out := cleanFolder(t, 2), t.TempDir()
	put(t, out, "notes.txt", "mine")
	put(t, out, "zebra.png", "mine too")
	fill(t, clean, out, noise, 1)
	remove(t, clean, "a00.png")
	fill(t, clean, out, noise, 1)
	for name, want := range map[string]string{"notes.txt": "mine", "zebra.png": "mine too"} {
		if got, _ := os.ReadFile(filepath.Join(out, name)); string(got) != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
}

func TestProgressCountsUpToTheTotal(t *testing.T) {
	clean, out := cleanFolder(t, 5), t.TempDir()
	fill(t, clean, out, noise, 1)
	remove(t, out, "a00.png")
	remove(t, out, "a01.png")
	var seen []int
	if _, err := Folder(context.Background(), clean, out, noise, 1, func(done, total int) {
		if total != 5 {
			t.Errorf("total is %d, want 5", total)
		}
		seen = append(seen, done)
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, []int{4, 5}) {
		t.Errorf("reported %v, want 4 and 5 of 5", seen)
	}
}

func TestTwoCallsAtOnceShareTheWork(t *testing.T) {
	clean, out := cleanFolder(t, 8), t.TempDir()
	counts := make(chan int, 2)
	for range 2 {
		go func() {
			n, err := Folder(context.Background(), clean, out, noise, 1, nil)
			if err != nil {
				t.Error(err)
			}
			counts <- n
		}()
	}
	if a, b := <-counts, <-counts; a+b != 8 {
		t.Errorf("the calls made %d and %d copies, want 8 together", a, b)
	}
}

func TestWaitingForAnotherProcessCanBeInterrupted(t *testing.T) {
	clean, out := cleanFolder(t, 1), t.TempDir()
	unlock, err := lockFolder(context.Background(), out)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := Folder(ctx, clean, out, noise, 1, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want context.DeadlineExceeded", err)
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
		{"unreadable picture", broken, t.TempDir(), rgb.ErrFormat, "bad.png"},
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

func TestTheManifestNamesDegradationSeedAndChecksums(t *testing.T) {
	clean, out := cleanFolder(t, 1), t.TempDir()
	fill(t, clean, out, noise, 9)
	data, err := os.ReadFile(filepath.Join(out, ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Degradation string
		Seed        int64
		Pictures    map[string]struct{ Clean struct{ SHA256 string } }
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got.Degradation != "gaussian/sigma_30" || got.Seed != 9 || len(got.Pictures["a00.png"].Clean.SHA256) != 64 {
		t.Errorf("the manifest says %s", data)
	}
}
