package div2k

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/fetch"
	"rekindle/pkg/rgb"
)

// world is a small DIV2K on a web server, and a clone without data.
type world struct {
	*httptest.Server
	parts []Part
	sent  atomic.Int64
	slow  atomic.Bool // some kilobytes a moment
	said  strings.Builder
	mu    sync.Mutex
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Chdir(t.TempDir())
	w := &world{}
	train, val := archive(t, "DIV2K_train_HR", 1, 5), archive(t, "DIV2K_valid_HR", 6, 8)
	files := http.NewServeMux()
	for name, content := range map[string][]byte{"/cvl/DIV2K_train_HR.zip": train, "/cvl/DIV2K_valid_HR.zip": val} {
		files.HandleFunc(name, func(out http.ResponseWriter, r *http.Request) {
			out.Header().Set("ETag", `"`+name+`"`)
			http.ServeContent(&counting{out, w}, r, name, time.Time{}, bytes.NewReader(content))
		})
	}
	w.Server = httptest.NewServer(files)
	t.Cleanup(w.Close)
	w.parts = []Part{
		{"DIV2K_train_HR", fileOf(train), 1, 5, "data/raw/train"},
		{"DIV2K_valid_HR", fileOf(val), 6, 8, "data/raw/val"},
	}
	return w
}

type counting struct {
	http.ResponseWriter
	w *world
}

func (c *counting) Write(p []byte) (int, error) {
	c.w.sent.Add(int64(len(p)))
	if c.w.slow.Load() {
		time.Sleep(20 * time.Millisecond)
	}
	return c.ResponseWriter.Write(p)
}

func fileOf(content []byte) fetch.File {
	sum := sha256.Sum256(content)
	return fetch.File{Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
}

// archive has pictures of noise, which nothing compresses.
func archive(t *testing.T, folder string, from, to int) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if _, err := z.Create(folder + "/"); err != nil {
		t.Fatal(err)
	}
	for i := from; i <= to; i++ {
		w, err := z.Create(fmt.Sprintf("%s/%04d.png", folder, i))
		if err != nil {
			t.Fatal(err)
		}
		if err := picture(i).WritePNG(w); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func picture(seed int) *rgb.Image {
	img := rgb.New(160, 120)
	r := rand.New(rand.NewPCG(uint64(seed), 1))
	for i := range img.Pix {
		img.Pix[i] = uint8(r.Uint32())
	}
	return img
}

func (w *world) options() Options {
	return Options{
		From: w.URL + "/cvl/",
		Job: fetch.Job{Pause: time.Millisecond, Say: func(line string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			fmt.Fprintln(&w.said, line)
		}},
	}
}

func (w *world) get(t *testing.T) {
	t.Helper()
	if err := Get(context.Background(), w.parts, w.options()); err != nil {
		t.Fatal(err)
	}
	w.complete(t)
}

// complete checks that all pictures are in place, and nothing else is left.
func (w *world) complete(t *testing.T) {
	t.Helper()
	for _, p := range w.parts {
		names, err := rgb.List(p.Dir)
		if err != nil || len(names) != p.pictures() {
			t.Fatalf("%s: got %v, %v; want %d pictures", p.Dir, names, err, p.pictures())
		}
		for i, name := range names {
			got, err := rgb.Load(filepath.Join(p.Dir, name))
			if err != nil || !bytes.Equal(got.Pix, picture(p.First+i).Pix) {
				t.Errorf("%s/%s is not the picture of the archive (%v)", p.Dir, name, err)
			}
		}
	}
	if _, err := os.Stat("data/raw/downloads"); err == nil {
		t.Error("the folder downloads is left")
	}
}

func TestGetBringsWhatIsMissingOnce(t *testing.T) {
	w := newWorld(t)
	w.get(t)
	sent := w.sent.Load()
	w.get(t)
	if w.sent.Load() != sent {
		t.Error("the second call asked for the archives again")
	}
	if err := os.RemoveAll("data/raw/val"); err != nil {
		t.Fatal(err)
	}
	w.get(t)
	if more := w.sent.Load() - sent; more != w.parts[1].Archive.Size {
		t.Errorf("%d bytes for a missing validation set of %d", more, w.parts[1].Archive.Size)
	}
	for _, want := range []string{"📥 DIV2K_train_HR", "✅ DIV2K_train_HR: 5 pictures in data/raw/train", "✅ DIV2K_valid_HR: its 3 pictures are in data/raw/val"} {
		if !strings.Contains(w.said.String(), want) {
			t.Errorf("said %q, want %q in it", &w.said, want)
		}
	}
}

func TestTheDrawnSetIsMovedAside(t *testing.T) {
	w := newWorld(t)
	for _, dir := range []string{"data/raw/train", "data/raw/train.drawn-1"} { // the second from an earlier time
		if err := deadleaves.Folder(t.Context(), dir, 3, 32, 32, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	w.get(t)
	if names, err := rgb.List("data/raw/train.drawn-2"); err != nil || len(names) != 3 {
		t.Errorf("got %v, %v; want the three drawn pictures", names, err)
	}
	if !strings.Contains(w.said.String(), "drawn pictures that were in data/raw/train are in data/raw/train.drawn-2") {
		t.Errorf("said %q", &w.said)
	}
}

func TestOtherPicturesAreNeverTouched(t *testing.T) {
	for name, put := range map[string]func(t *testing.T, dir string){
		"photographs": func(t *testing.T, dir string) { save(t, dir, "holiday.png") },
		"drawn ones and a photograph": func(t *testing.T, dir string) {
			if err := deadleaves.Folder(t.Context(), dir, 3, 32, 32, 1, nil); err != nil {
				t.Fatal(err)
			}
			save(t, dir, "holiday.png")
		},
		"a part of DIV2K": func(t *testing.T, dir string) { save(t, dir, "0001.png"); save(t, dir, "0002.png") },
		"another number":  func(t *testing.T, dir string) { save(t, dir, "00001.png") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			put(t, "data/raw/train")
			before, _ := os.ReadDir("data/raw/train")
			err := Get(context.Background(), w.parts, w.options())
			if err == nil || !strings.Contains(err.Error(), "data/raw/train holds") {
				t.Errorf("got %v, want that the folder holds other pictures", err)
			}
			if after, _ := os.ReadDir("data/raw/train"); len(after) != len(before) || w.sent.Load() > 0 {
				t.Errorf("the folder had %d files and has %d; %d bytes were fetched", len(before), len(after), w.sent.Load())
			}
		})
	}
}

func save(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := picture(1).SavePNG(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func TestAFolderThatIsEmptyOrALinkIsFilled(t *testing.T) {
	w := newWorld(t)
	large := t.TempDir()
	if err := os.MkdirAll("data/raw/val", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(large, "pictures"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(large, "pictures"), "data/raw/train"); err != nil {
		t.Fatal(err)
	}
	w.get(t)
	if names, err := rgb.List(filepath.Join(large, "pictures")); err != nil || len(names) != 5 {
		t.Errorf("behind the link are %v (%v), want the five pictures", names, err)
	}
	if info, err := os.Lstat("data/raw/train"); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link is gone")
	}
}

func TestAFolderWithSomethingElseIsNamed(t *testing.T) {
	w := newWorld(t)
	if err := os.MkdirAll("data/raw/train", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("data/raw/train/notes.txt", []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	err := Get(context.Background(), w.parts, w.options())
	if err == nil || !strings.Contains(err.Error(), "data/raw/train holds no pictures but something else") {
		t.Errorf("got %v", err)
	}
	sent := w.sent.Load()
	if err := os.Remove("data/raw/train/notes.txt"); err != nil {
		t.Fatal(err)
	}
	w.get(t)
	if again := w.sent.Load() - sent; again != w.parts[1].Archive.Size {
		t.Errorf("the second call fetched %d bytes, want those of the validation set alone", again)
	}
}

func TestTooLittleSpaceIsSaidBeforeAnythingIsFetched(t *testing.T) {
	w := newWorld(t)
	need := 2 * w.parts[0].Archive.Size // and its pictures
	o := w.options()
	o.Free = func(string) (int64, error) { return need - 1, nil }
	err := Get(context.Background(), w.parts, o)
	if err == nil || !strings.Contains(err.Error(), "needs "+fetch.Size(need)) || !strings.Contains(err.Error(), "larger disk") || w.sent.Load() > 0 {
		t.Errorf("got %v after %d bytes", err, w.sent.Load())
	}
	o.Free = func(string) (int64, error) { return need, nil }
	if err := Get(context.Background(), w.parts, o); err != nil {
		t.Errorf("with just enough space: %v", err)
	}
}

func TestAnArchiveWithOtherPicturesIsRefused(t *testing.T) {
	w := newWorld(t)
	w.parts[0].Last = 6 // one more than there are
	err := Get(context.Background(), w.parts, w.options())
	if err == nil || !strings.Contains(err.Error(), "has 5 pictures, want 6") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat("data/raw/train"); err == nil {
		t.Error("the folder appeared all the same")
	}
}

// The same test binary plays the processes that are killed or come second.
func TestMain(m *testing.M) {
	if from := os.Getenv("DIV2K_TEST_FROM"); from != "" {
		os.Exit(play(from))
	}
	os.Exit(m.Run())
}

func play(from string) int {
	var parts []Part
	for i, text := range strings.Split(os.Getenv("DIV2K_TEST_PARTS"), " ") {
		size, sum, _ := strings.Cut(text, ":")
		n, _ := strconv.ParseInt(size, 10, 64)
		p := []Part{{"DIV2K_train_HR", fetch.File{}, 1, 5, "data/raw/train"}, {"DIV2K_valid_HR", fetch.File{}, 6, 8, "data/raw/val"}}[i]
		p.Archive = fetch.File{Size: n, SHA256: sum}
		parts = append(parts, p)
	}
	if err := Get(context.Background(), parts, Options{From: from, Job: fetch.Job{Say: func(line string) { fmt.Println(line) }}}); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// process starts another process that gets the data into the same folders.
func (w *world) process(t *testing.T) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	c := exec.Command(os.Args[0])
	var parts []string
	for _, p := range w.parts {
		parts = append(parts, fmt.Sprintf("%d:%s", p.Archive.Size, p.Archive.SHA256))
	}
	c.Env = append(os.Environ(), "DIV2K_TEST_FROM="+w.URL+"/cvl", "DIV2K_TEST_PARTS="+strings.Join(parts, " "))
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c, &out
}

func TestOfTwoProcessesOneWorksAndTheOtherWaits(t *testing.T) {
	w := newWorld(t)
	w.slow.Store(true)
	a, outA := w.process(t)
	b, outB := w.process(t)
	if err := a.Wait(); err != nil {
		t.Errorf("%v: %s", err, outA)
	}
	if err := b.Wait(); err != nil {
		t.Errorf("%v: %s", err, outB)
	}
	w.complete(t)
	if want := w.parts[0].Archive.Size + w.parts[1].Archive.Size; w.sent.Load() != want {
		t.Errorf("the server sent %d bytes to both, want %d", w.sent.Load(), want)
	}
	if !strings.Contains(outA.String()+outB.String(), "another process is at work") {
		t.Errorf("nobody said that they wait: %q, %q", outA, outB)
	}
}

func TestAKilledProcessLosesNothing(t *testing.T) {
	w := newWorld(t)
	w.slow.Store(true)
	partial := "data/raw/downloads/DIV2K_train_HR.zip"
	kills := 0
	for ; kills < 3; kills++ {
		before := fetch.Arrived(partial)
		c, out := w.process(t)
		for deadline := time.Now().Add(10 * time.Second); fetch.Arrived(partial) == before && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		if n := fetch.Arrived(partial); n <= before || n >= w.parts[0].Archive.Size {
			t.Fatalf("killed with %d of %d bytes, %d before; it said %s", n, w.parts[0].Archive.Size, before, out)
		}
		if _, err := os.Stat("data/raw/train"); err == nil {
			t.Fatal("the folder appeared before it was complete")
		}
	}
	w.slow.Store(false)
	c, out := w.process(t)
	if err := c.Wait(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w.complete(t)
	if !strings.Contains(out.String(), "going on after") || !strings.Contains(out.String(), "✅ DIV2K_valid_HR") {
		t.Errorf("the last process said %q", out)
	}
}

func TestThePartsAreDIV2Ks(t *testing.T) {
	parts := Parts("a", "b")
	if len(parts) != 2 || parts[0].pictures() != 800 || parts[1].pictures() != 100 || parts[0].Last+1 != parts[1].First {
		t.Errorf("got %+v", parts)
	}
	for _, p := range parts {
		if raw, err := hex.DecodeString(p.Archive.SHA256); err != nil || len(raw) != 32 || p.Archive.Size < 4e8 {
			t.Errorf("%s: %v, %d bytes of checksum", p.Name, err, len(raw))
		}
	}
}
