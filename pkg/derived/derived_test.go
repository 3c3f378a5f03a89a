package derived

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/durable"
	"rekindle/pkg/internal/disk"
)

var first = Recipe{Name: "louder", Seed: 1, Format: 1}

// Each case disturbs a complete folder of four; want is the number that has to
// be made again.
func TestExactlyWhatIsStaleIsMadeAgain(t *testing.T) {
	for _, c := range []struct {
		name    string
		disturb func(t *testing.T, p *place)
		want    int
	}{
		{"nothing", func(*testing.T, *place) {}, 0},
		{"a deleted picture", func(t *testing.T, p *place) { remove(t, p.dir, "a01.out") }, 1},
		{"a truncated picture", func(t *testing.T, p *place) { truncate(t, p.dir, "a02.out") }, 1},
		{"an empty picture", func(t *testing.T, p *place) { put(t, p.dir, "a02.out", "") }, 1},
		{"a picture with one bit changed", func(t *testing.T, p *place) { flip(t, p.dir, "a03.out") }, 1},
		{"two pictures swapped", func(t *testing.T, p *place) { swap(t, p.dir, "a00.out", "a01.out") }, 2},
		{"a changed source", func(t *testing.T, p *place) { flip(t, p.sources, "a00.txt") }, 1},
		{"a source of another length", func(t *testing.T, p *place) { put(t, p.sources, "a00.txt", "short") }, 1},
		{"a new source", func(t *testing.T, p *place) { put(t, p.sources, "b.txt", "new") }, 1},
		{"a removed source", func(t *testing.T, p *place) { remove(t, p.sources, "a00.txt") }, 0},
		{"another recipe", func(t *testing.T, p *place) { p.recipe.Name = "softer" }, 4},
		{"another seed", func(t *testing.T, p *place) { p.recipe.Seed++ }, 4},
		{"a newer format", func(t *testing.T, p *place) { p.recipe.Format++ }, 4},
		{"files touched but not changed", func(t *testing.T, p *place) { touch(t, p.sources, "a00.txt"); touch(t, p.dir, "a01.out") }, 0},
		{"a damaged manifest", func(t *testing.T, p *place) { truncate(t, p.dir, ManifestName) }, 4},
		{"a lost manifest", func(t *testing.T, p *place) { remove(t, p.dir, ManifestName) }, 4},
		{"the rest of a killed process", func(t *testing.T, p *place) {
			put(t, p.dir, ".unfinished-a00.out-123", "half")
			edit(t, p.dir, func(m *manifest) { delete(m.Pictures, "a00.out"); delete(m.Pictures, "a03.out") })
			remove(t, p.dir, "a03.out")
		}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t, 4)
			p.fill(t)
			c.disturb(t, p)
			if n := p.fill(t); n != c.want {
				t.Errorf("made %d again, want %d", n, c.want)
			}
			p.assertFresh(t)
			if n := p.fill(t); n != 0 {
				t.Errorf("a third call still makes %d", n)
			}
		})
	}
}

func TestACompleteFolderIsOnlyLookedAt(t *testing.T) {
	p := newPlace(t, 3)
	p.fill(t)
	before, err := os.Stat(filepath.Join(p.dir, ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	f := p.folder(t)
	f.Report = func(int, int) { t.Error("progress was reported without work") }
	f.Make = func(Item, []byte, io.Writer) error { t.Error("a picture was made"); return nil }
	if _, err := Fill(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(filepath.Join(p.dir, ManifestName)); !os.SameFile(before, after) {
		t.Error("the manifest was written again")
	}
}

// interrupted fills the folder but is stopped during the third picture.
func (p *place) interrupted(t *testing.T) int {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := p.folder(t)
	inner := f.Make
	var count atomic.Int32
	f.Make = func(item Item, source []byte, w io.Writer) error {
		if count.Add(1) == 3 {
			cancel()
		}
		return inner(item, source, w)
	}
	n, err := Fill(ctx, f)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("an interrupted call gives %v, want context.Canceled", err)
	}
	return n
}

func TestAnInterruptedCallIsCompletedByTheNext(t *testing.T) {
	p := newPlace(t, 12)
	n := p.interrupted(t)
	if n < 3 || n >= 12 {
		t.Fatalf("an interrupted call says it made %d of 12", n)
	}
	if rest := p.fill(t); rest != 12-n {
		t.Errorf("the next call made %d, want the %d that were missing", rest, 12-n)
	}
	p.assertFresh(t)
}

// What a kill -9 leaves in the midst of going from one recipe to another is a
// mixture; so is what an error leaves.
func TestAMixtureOfTwoRecipesIsNeverTrusted(t *testing.T) {
	p := newPlace(t, 12)
	p.fill(t)
	p.recipe.Name = "softer"
	p.interrupted(t)
	p.recipe = first
	p.fill(t)
	p.assertFresh(t)
}

func TestAfterAnErrorWhatIsDoneIsKeptAndNothingIsHalfWritten(t *testing.T) {
	p := newPlace(t, 12)
	f := p.folder(t)
	inner, broken := f.Make, errors.New("broken")
	f.Make = func(item Item, source []byte, w io.Writer) error {
		if item.Name == "a05.out" {
			w.Write([]byte("half"))
			return broken
		}
		return inner(item, source, w)
	}
	n, err := Fill(context.Background(), f)
	if !errors.Is(err, broken) {
		t.Fatalf("got %v, want the error of Make", err)
	}
	if got := len(names(t, p.dir)); got != n {
		t.Errorf("the folder holds %d pictures, the call says it made %d", got, n)
	}
	if rest := p.fill(t); rest != 12-n {
		t.Errorf("the next call made %d, want %d", rest, 12-n)
	}
	p.assertFresh(t)
}

func TestFilesThatWereNotMadeHereAreNotOverwritten(t *testing.T) {
	p := newPlace(t, 3)
	if err := os.MkdirAll(p.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	put(t, p.dir, "a01.out", "somebody's only copy")
	_, err := Fill(context.Background(), p.folder(t))
	if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "a01.out") {
		t.Errorf("got %v, want ErrForeign with the name", err)
	}
	if got := names(t, p.dir); !slices.Equal(got, []string{"a01.out"}) || get(t, p.dir, "a01.out") != "somebody's only copy" {
		t.Errorf("the folder now holds %v", got)
	}
}

func TestPicturesOfSomebodyElseAreNotMixedWithOurs(t *testing.T) {
	p := newPlace(t, 3)
	if err := os.MkdirAll(p.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	put(t, p.dir, "a01.JPG", "somebody's own degraded picture")
	if _, err := Fill(context.Background(), p.folder(t)); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "a01.JPG") {
		t.Errorf("got %v, want ErrForeign with the name", err)
	}
	if got := names(t, p.dir); !slices.Equal(got, []string{"a01.JPG"}) {
		t.Errorf("the folder now holds %v", got)
	}
}

func TestOtherFilesInTheFolderAreLeftAlone(t *testing.T) {
	p := newPlace(t, 3)
	p.fill(t)
	put(t, p.dir, "notes", "mine")
	flip(t, p.dir, "a00.out") // replaced by somebody, and no longer wanted
	replaced := get(t, p.dir, "a00.out")
	remove(t, p.sources, "a00.txt")
	remove(t, p.sources, "a01.txt")
	p.fill(t)
	if got := names(t, p.dir); !slices.Equal(got, []string{"a00.out", "a02.out", "notes"}) {
		t.Errorf("the folder holds %v, want all but a01.out", got)
	}
	if get(t, p.dir, "notes") != "mine" || get(t, p.dir, "a00.out") != replaced {
		t.Error("a file of somebody else was changed")
	}
}

func TestAManifestCannotNameFilesElsewhere(t *testing.T) {
	p := newPlace(t, 1)
	p.fill(t)
	victim := filepath.Join(filepath.Dir(p.dir), "victim")
	put(t, filepath.Dir(p.dir), "victim", get(t, p.dir, "a00.out"))
	edit(t, p.dir, func(m *manifest) { m.Pictures["../victim"] = m.Pictures["a00.out"] })
	p.fill(t)
	if _, err := os.Stat(victim); err != nil {
		t.Error("a file outside the folder was removed")
	}
}

func TestPicturesFromNothingAreMadeOnce(t *testing.T) {
	f := Folder{Dir: t.TempDir(), Recipe: first, Items: []Item{{Name: "x"}, {Name: "y"}},
		Make: func(item Item, source []byte, w io.Writer) error {
			if source != nil {
				t.Errorf("%s has a source of %d bytes", item.Name, len(source))
			}
			_, err := io.WriteString(w, item.Name)
			return err
		}}
	for _, want := range []int{2, 0} {
		if n, err := Fill(context.Background(), f); n != want || err != nil {
			t.Errorf("made %d (%v), want %d", n, err, want)
		}
	}
}

func TestProgressCountsUpToTheTotal(t *testing.T) {
	p := newPlace(t, 5)
	p.fill(t)
	remove(t, p.dir, "a00.out")
	remove(t, p.dir, "a01.out")
	f := p.folder(t)
	var seen []int
	f.Report = func(done, total int) {
		if total != 5 {
			t.Errorf("total is %d, want 5", total)
		}
		seen = append(seen, done)
	}
	if _, err := Fill(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, []int{4, 5}) {
		t.Errorf("reported %v, want 4 and 5 of 5", seen)
	}
}

func TestTwoCallsAtOnceShareTheWork(t *testing.T) {
	p := newPlace(t, 8)
	f := p.folder(t)
	counts := make(chan int, 2)
	for range 2 {
		go func() {
			n, err := Fill(context.Background(), f)
			if err != nil {
				t.Error(err)
			}
			counts <- n
		}()
	}
	if a, b := <-counts, <-counts; a+b != 8 {
		t.Errorf("the calls made %d and %d, want 8 together", a, b)
	}
}

func TestWaitingForAnotherProcessCanBeInterrupted(t *testing.T) {
	p := newPlace(t, 1)
	p.fill(t)
	unlock, err := durable.LockFolder(context.Background(), p.dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := Fill(ctx, p.folder(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want context.DeadlineExceeded", err)
	}
}

func TestTheManifestCanBeReadByPeople(t *testing.T) {
	p := newPlace(t, 1)
	p.fill(t)
	var got struct {
		Recipe   struct{ Name string }
		Pictures map[string]struct {
			Source string
			MadeOf struct {
				Size   int
				SHA256 string
			} `json:"made_of"`
		}
	}
	if err := json.Unmarshal([]byte(get(t, p.dir, ManifestName)), &got); err != nil {
		t.Fatal(err)
	}
	e := got.Pictures["a00.out"]
	if got.Recipe.Name != "louder" || e.Source != "a00.txt" || e.MadeOf.Size != len("text number 0") || len(e.MadeOf.SHA256) != 64 {
		t.Errorf("the manifest says %s", get(t, p.dir, ManifestName))
	}
}

func TestAFolderThatMayOnlyBeReadIsLookedAt(t *testing.T) {
	p := newPlace(t, 3)
	p.fill(t)
	touch(t, p.dir, "a01.out") // its stamp cannot be renewed
	writable := disk.ReadOnly(t, p.dir)
	if n := p.fill(t); n != 0 {
		t.Errorf("made %d in a folder that may only be read", n)
	}
	p.recipe.Seed++
	if _, err := Fill(context.Background(), p.folder(t)); !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "3 of 3 pictures") {
		t.Errorf("copies of another recipe: %v", err)
	}
	p.recipe.Seed--
	inside := p.folder(t)
	inside.Dir = filepath.Join(p.dir, "not", "there")
	if _, err := Fill(context.Background(), inside); !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), inside.Dir+" cannot be made") {
		t.Errorf("a folder that cannot be made: %v", err)
	}
	writable()
	remove(t, p.dir, "a02.out")
	writable = disk.ReadOnly(t, p.dir)
	if _, err := Fill(context.Background(), p.folder(t)); !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "a02.out") {
		t.Errorf("one is missing: %v", err)
	}
	writable()
	remove(t, p.dir, ManifestName)
	put(t, p.dir, "a00.png", "somebody's")
	disk.ReadOnly(t, p.dir)
	if _, err := Fill(context.Background(), p.folder(t)); !errors.Is(err, ErrForeign) {
		t.Errorf("pictures of somebody's own: %v", err)
	}
}

func TestAnotherUsersFolderIsLookedAt(t *testing.T) {
	p := newPlace(t, 3)
	p.fill(t)
	if err := os.Chmod(filepath.Join(p.dir, ".lock"), 0o644); err != nil {
		t.Fatal(err)
	}
	disk.AsSomebody(t, p.dir, func() {
		f := p.folder(t)
		if n, err := Fill(context.Background(), f); n != 0 || err != nil {
			t.Errorf("made %d, %v", n, err)
		}
	})
}

func TestNamesThatAreNotUTF8AreMadeOnce(t *testing.T) {
	p := newPlace(t, 1)
	for _, name := range []string{"caf\xe9.txt", "caf\xe8.txt"} {
		put(t, p.sources, name, name)
	}
	if n := p.fill(t); n != 3 {
		t.Fatalf("made %d, want 3", n)
	}
	if n := p.fill(t); n != 0 {
		t.Errorf("made %d again", n)
	}
	p.assertFresh(t)
	remove(t, p.sources, "caf\xe9.txt")
	p.fill(t)
	if _, err := os.Stat(filepath.Join(p.dir, "caf\xe9.out")); !os.IsNotExist(err) {
		t.Errorf("a copy whose source is gone: %v", err)
	}
}

func TestNamesThatAreOneForTheFileSystemAreRefused(t *testing.T) {
	p := newPlace(t, 1)
	put(t, p.sources, "A00.txt", "another")
	foldsCase = func(string) bool { return true }
	defer func() { foldsCase = durable.FoldsCase }()
	if _, err := Fill(context.Background(), p.folder(t)); err == nil || !strings.Contains(err.Error(), "A00.out and a00.out are one name") {
		t.Errorf("got %v", err)
	}
	foldsCase = durable.FoldsCase
	if n := p.fill(t); n != 2 {
		t.Errorf("made %d, want both", n)
	}
}

func TestAFullDiskLeavesWholePicturesAndTheRestIsMadeLater(t *testing.T) {
	p := newPlace(t, 8)
	p.dir = filepath.Join(disk.Small(t, "1m"), "copies")
	f := p.folder(t)
	small := f.Make
	f.Make = func(item Item, source []byte, w io.Writer) error {
		_, err := w.Write(make([]byte, 200<<10))
		return errors.Join(err, small(item, source, w))
	}
	_, err := Fill(context.Background(), f)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want no space left on device", err)
	}
	for _, name := range names(t, p.dir) {
		if strings.HasPrefix(name, durable.TempPrefix) {
			t.Errorf("%s was left half written", name)
		}
		if info, err := os.Stat(filepath.Join(p.dir, name)); err == nil && strings.HasSuffix(name, ".out") && info.Size() <= 200<<10 {
			t.Errorf("%s has %d bytes", name, info.Size())
		}
	}
	f.Make = small // pictures that find room
	f.Recipe.Seed++
	if _, err := Fill(context.Background(), f); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if n, err := Fill(context.Background(), f); n != 0 || err != nil {
		t.Errorf("made %d again, %v", n, err)
	}
}
