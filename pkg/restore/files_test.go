package restore

import (
	"context"
	"crypto/sha256"
	"errors"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/picture"
)

// write puts a small picture, or what data says, under a name in dir.
func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if data != nil {
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	im := image.NewGray(image.Rect(0, 0, 20, 10))
	for i := range im.Pix {
		im.Pix[i] = uint8(i)
	}
	if err := png.Encode(f, im); err != nil { // the content decides, not the name
		t.Fatal(err)
	}
	return path
}

func targets(work []Work, out string) (names []string) {
	for _, w := range work {
		name, _ := filepath.Rel(out, w.To)
		names = append(names, filepath.ToSlash(name))
	}
	return names
}

func TestAFolderIsRestoredUnderTheSameNames(t *testing.T) {
	in, out := t.TempDir(), filepath.Join(t.TempDir(), "restored")
	for _, name := range []string{"b/x.tif", "a.png", "a.jpg", "c.webp", "c.webp.png", "B.PNG", "notes.txt", ".hidden.png", ".cache/y.png", "b/z.gif"} {
		write(t, in, name, nil)
	}
	work, unreadable, err := Plan(in, out)
	if err != nil || len(unreadable) > 0 {
		t.Fatal(err, unreadable)
	}
	want := []string{"B.PNG", "a.jpg", "a.png", "b/x.tif", "b/z.gif.png", "c.webp.png.png", "c.webp.png"}
	if got := targets(work, out); !slices.Equal(got, want) {
		t.Errorf("results are %q, want %q", got, want)
	}
	var parts []string
	for k := range 3 {
		parts = append(parts, targets(Shard(work, k+1, 3), out)...)
	}
	if want := []string{"B.PNG", "b/x.tif", "c.webp.png", "a.jpg", "b/z.gif.png", "a.png", "c.webp.png.png"}; !slices.Equal(parts, want) {
		t.Errorf("the three thirds are %q, want %q", parts, want)
	}
}

func TestAPictureGoesWhereOutSays(t *testing.T) {
	in, out := t.TempDir(), t.TempDir()
	photo, web := write(t, in, "photo.jpg", nil), write(t, in, "photo.webp", nil)
	for _, c := range []struct{ in, out, want string }{
		{photo, filepath.Join(out, "x.png"), filepath.Join(out, "x.png")},
		{photo, out, filepath.Join(out, "photo.jpg")},
		{photo, filepath.Join(out, "new") + "/", filepath.Join(out, "new", "photo.jpg")},
		{web, out, filepath.Join(out, "photo.webp.png")},
		{photo, filepath.Join(in, "photo.png"), filepath.Join(in, "photo.png")},
	} {
		work, _, err := Plan(c.in, c.out)
		if err != nil || len(work) != 1 || work[0].To != c.want {
			t.Errorf("%s to %s: %v (%v), want %s", c.in, c.out, work, err, c.want)
		}
	}
}

func TestPlansThatWouldWriteToInAreRefused(t *testing.T) {
	in, other := t.TempDir(), t.TempDir()
	photo := write(t, in, "photo.jpg", nil)
	link := filepath.Join(other, "link")
	if err := os.Symlink(in, link); err != nil {
		t.Fatal(err)
	}
	file := write(t, other, "file.png", nil)
	for _, c := range []struct{ in, out, words string }{
		{in, in, "same folder"}, {in, link, "same folder"}, {in, filepath.Join(in, "deep", "restored"), "lies in IN"}, {in, filepath.Join(link, "restored"), "lies in IN"},
		{in, filepath.Dir(in), "lies in OUT"}, {photo, photo, "never written to"}, {photo, in, "never written to"}, {photo, filepath.Join(link, "photo.jpg"), "never written to"},
		{in, file, "OUT must be one"}, {in, filepath.Join(other, "new.png"), "OUT must be one"}, {photo, filepath.Join(other, "x.webp"), "pictures are written as"},
		{photo, filepath.Join(other, "x"), "pictures are written as"}, {filepath.Join(other, "none"), other, "no such file"}, {"", other, "both be named"}, {in, "", "both be named"},
	} {
		if work, _, err := Plan(c.in, c.out); err == nil || !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s to %s: %v (%v), want an error with %q", c.in, c.out, work, err, c.words)
		}
	}
}

// state is a checksum of every file in a folder.
func state(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	all := map[string][32]byte{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			var raw []byte
			if raw, err = os.ReadFile(path); err == nil {
				all[path] = sha256.Sum256(raw)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestFilesThatFailDoNotKeepTheOthersFromIt(t *testing.T) {
	in, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	write(t, in, "a.png", nil)
	write(t, in, "b.png", []byte("no picture"))
	whole, _ := os.ReadFile(write(t, in, "c.png", nil))
	write(t, in, "c.png", whole[:len(whole)-30])
	write(t, in, "sub/d.png", nil)
	before := state(t, in)
	work, _, err := Plan(in, out)
	if err != nil {
		t.Fatal(err)
	}
	var done []string
	var pixels, all int64
	options := FileOptions{
		Begin:  func(_, _ int, n int64) { all = n },
		Pixels: func(n int64) { pixels = n },
		Done:   func(d FileDone) { done = append(done, filepath.Base(d.To)) },
	}
	r := identity(t)
	failed, err := r.Files(context.Background(), work, options)
	if err != nil || len(failed) != 2 || !errors.Is(failed[0].Err, picture.ErrFormat) || !errors.Is(failed[1].Err, picture.ErrDamaged) {
		t.Fatalf("failed: %v (%v), want b.png and c.png", failed, err)
	}
	for _, d := range failed {
		if !strings.Contains(d.Err.Error(), d.From) {
			t.Errorf("%v does not name %s", d.Err, d.From)
		}
	}
	if want := []string{"b.png", "a.png", "c.png", "d.png"}; !slices.Equal(done, want) {
		t.Errorf("done are %q, want %q", done, want)
	}
	if pixels != all || all != 3*20*10 {
		t.Errorf("%d pixels of %d are done, want all 600", pixels, all)
	}
	after := state(t, out)
	if len(after) != 2 {
		t.Errorf("%d files are in OUT, want the two that could be restored", len(after))
	}
	if got := state(t, in); len(got) != len(before) {
		t.Error("IN has other files than before")
	} else {
		for path, sum := range before {
			if got[path] != sum {
				t.Errorf("%s was changed", path)
			}
		}
	}
}

// three is the work of restoring a.png, b.png and c.png of a folder into another one.
func three(t *testing.T) (work []Work, out string) {
	t.Helper()
	in, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	for _, name := range []string{"a.png", "b.png", "c.png"} {
		write(t, in, name, nil)
	}
	work, _, err := Plan(in, out)
	if err != nil {
		t.Fatal(err)
	}
	return work, out
}

func TestASecondCallDoesTheRestAndOverwriteDoesAll(t *testing.T) {
	work, out := three(t)
	mine := write(t, out, "b.png", []byte("mine"))
	r := identity(t)
	ctx, cancel := context.WithCancel(context.Background())
	var done []string
	var there int
	o := FileOptions{Begin: func(_, n int, _ int64) { there = n }, Done: func(d FileDone) {
		done = append(done, filepath.Base(d.To))
		cancel()
	}}
	if _, err := r.Files(ctx, work, o); !errors.Is(err, context.Canceled) || !slices.Equal(done, []string{"a.png"}) || there != 1 {
		t.Fatalf("stopped after %q with %d there already (%v), want a.png and 1", done, there, err)
	}
	if got := state(t, out); len(got) != 2 {
		t.Errorf("after stopping there are %d files, want a.png and mine", len(got))
	}
	done = nil
	if _, err := r.Files(context.Background(), work, o); err != nil || !slices.Equal(done, []string{"c.png"}) || there != 2 {
		t.Errorf("the second call restored %q with %d there already (%v), want c.png and 2", done, there, err)
	}
	if raw, _ := os.ReadFile(mine); string(raw) != "mine" {
		t.Error("what was there was overwritten")
	}
	done, o.Overwrite = nil, true
	if _, err := r.Files(context.Background(), work, o); err != nil || len(done) != 3 {
		t.Errorf("overwriting restored %q (%v), want all", done, err)
	}
	if raw, _ := os.ReadFile(mine); string(raw) == "mine" {
		t.Error("overwriting left what was there")
	}
}

// TestCallsAtOneTimeShareTheWork has another call finish a picture that this one has
// begun, and one that it has not.
func TestCallsAtOneTimeShareTheWork(t *testing.T) {
	work, out := three(t)
	var restored, there []string
	o := FileOptions{
		Pixels: func(int64) {
			if len(there) == 0 {
				write(t, out, "a.png", []byte("another's"))
				write(t, out, "c.png", []byte("another's"))
			}
		},
		Done: func(d FileDone) {
			if d.There {
				there = append(there, filepath.Base(d.To))
			} else {
				restored = append(restored, filepath.Base(d.To))
			}
		},
	}
	failed, err := identity(t).Files(context.Background(), work, o)
	if err != nil || len(failed) > 0 || !slices.Equal(there, []string{"a.png", "c.png"}) || !slices.Equal(restored, []string{"b.png"}) {
		t.Errorf("restored %q, there were %q, failed %v (%v)", restored, there, failed, err)
	}
	for _, name := range []string{"a.png", "c.png"} {
		if raw, _ := os.ReadFile(filepath.Join(out, name)); string(raw) != "another's" {
			t.Errorf("%s was replaced", name)
		}
	}
	if files, _ := os.ReadDir(out); len(files) != 3 {
		t.Errorf("there are %v", files)
	}
}

func TestLinksAreFollowedWhereTheyLeadToPictures(t *testing.T) {
	in, disk, out := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "out")
	write(t, in, "a.png", nil)
	far := write(t, disk, "b.png", nil)
	write(t, disk, "c.png", nil)
	write(t, out, "old.png", nil)
	for from, to := range map[string]string{"far": disk, "far.png": far, "gone.png": "/none", "gone": "/none", "loop": in, "results": out} {
		if err := os.Symlink(to, filepath.Join(in, from)); err != nil {
			t.Fatal(err)
		}
	}
	work, passed, err := Plan(in, out)
	if want := []string{"a.png", "far/b.png", "far/c.png", "far.png"}; err != nil || !slices.Equal(targets(work, out), want) {
		t.Errorf("results are %q (%v), want %q", targets(work, out), err, want)
	}
	var text []string
	for _, why := range passed {
		text = append(text, strings.ReplaceAll(why.Error(), in+"/", ""))
	}
	if want := []string{"gone is a link to /none, which is not there", "gone.png is a link to /none, which is not there", "loop leads back to a folder that it lies in", "results is where the results go"}; !slices.Equal(text, want) {
		t.Errorf("passed over %q, want %q", text, want)
	}
	for _, name := range []string{"a.png", "far", "far.png"} {
		if err := os.RemoveAll(filepath.Join(in, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := Plan(in, out); err == nil || !strings.Contains(err.Error(), "no picture in") || !strings.Contains(err.Error(), "which is not there") {
		t.Errorf("nothing but links that lead nowhere: %v", err)
	}
}

func TestResultsHaveNamesThatTheFileSystemTakes(t *testing.T) {
	in, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	long := strings.Repeat("é", 125)
	all := []string{long + ".webp", strings.Repeat("x", 251) + ".png", "caf\xe9.png", "caf\xe8.webp", "-dash [1].png", strings.Repeat("y", 251) + ".gif"}
	all = append(all, strings.Repeat("y", 250)+"..png") // the name that one before it would get
	for _, name := range all {
		write(t, in, name, nil)
	}
	work, _, err := Plan(in, out)
	if err != nil {
		t.Fatal(err)
	}
	if failed, err := identity(t).Files(context.Background(), work, FileOptions{}); err != nil || len(failed) > 0 {
		t.Errorf("failed: %v (%v)", failed, err)
	}
	entries, err := os.ReadDir(out)
	if err != nil || len(entries) != len(all) {
		t.Errorf("there are %d results (%v), want %d", len(entries), err, len(all))
	}
}

func TestResultsHaveDifferentNamesWhereCaseDoesNotCount(t *testing.T) {
	n := names{folds: true, seen: map[string]bool{}}
	n.take("Caf\u00e9.png")
	if !n.has("cafe\u0301.PNG") || n.has("cafe.png") {
		t.Error("names that are one for the file system are taken for two, or the other way round")
	}
}
