package fetch

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// entry is a file in an archive.
type entry struct {
	name    string
	content []byte
	mode    fs.FileMode // 0: a regular file
}

func archiveOf(t *testing.T, entries ...entry) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.mode != 0 {
			h.SetMode(e.mode)
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(e.content)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return archiveFrom(t, b.Bytes())
}

func archiveFrom(t *testing.T, raw []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(path, raw, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func png(name string) bool { return strings.HasSuffix(name, ".png") }

func TestUnzipTakesTheWantedFilesWithoutTheirFolders(t *testing.T) {
	archive := archiveOf(t,
		entry{"set/", nil, fs.ModeDir | 0o755}, entry{"set/1.png", []byte("one"), 0o644}, entry{"set/deep/2.png", noise(1000, 1), 0o4755},
		entry{"set/notes.txt", []byte("no"), 0}, entry{"3.png", nil, 0})
	dir := filepath.Join(t.TempDir(), "new")
	var last, of int64
	n, err := Job{Progress: func(_ string, done, total int64) { last, of = done, total }}.Unzip(context.Background(), archive, dir, png)
	if err != nil || n != 3 || last != 1003 || of != 1003 {
		t.Fatalf("got %d files, %d of %d bytes, %v", n, last, of, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Fatalf("got %v, %v", entries, err)
	}
	for _, e := range entries {
		if info, _ := e.Info(); !info.Mode().IsRegular() || info.Mode()&(fs.ModeSetuid|0o111) != 0 {
			t.Errorf("%s has mode %v, want that of a plain file", e.Name(), info.Mode())
		}
	}
}

func TestHostileArchivesWriteNothing(t *testing.T) {
	good := entry{"good.png", []byte("good"), 0}
	for name, c := range map[string]struct {
		bad  entry
		want string
	}{
		"up":            {entry{"../evil.png", nil, 0}, "leads out"},
		"up inside":     {entry{"a/../../evil.png", nil, 0}, "leads out"},
		"absolute":      {entry{"/tmp/evil.png", nil, 0}, "leads out"},
		"unwanted too":  {entry{"../evil.txt", nil, 0}, "leads out"},
		"empty name":    {entry{"", nil, 0}, "leads out"},
		"symbolic link": {entry{"evil.png", []byte("/etc/passwd"), fs.ModeSymlink | 0o777}, "no regular file"},
		"device":        {entry{"evil.png", nil, fs.ModeDevice | 0o666}, "no regular file"},
		"named pipe":    {entry{"evil.png", nil, fs.ModeNamedPipe | 0o666}, "no regular file"},
		"twice":         {entry{"b/good.png", nil, 0}, "or there are two"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "inner")
			_, err := Job{}.Unzip(context.Background(), archiveOf(t, good, c.bad), dir, png)
			if !errors.Is(err, ErrUnsafe) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("something was written")
			}
			if entries, _ := os.ReadDir(filepath.Dir(dir)); len(entries) != 0 {
				t.Errorf("something was written outside: %v", entries)
			}
		})
	}
}

// An archive that says that a file is small and then goes on and on.
func TestAnArchiveThatLiesAboutSizes(t *testing.T) {
	raw, err := os.ReadFile(archiveOf(t, entry{"a.png", make([]byte, 1<<20), 0}))
	if err != nil {
		t.Fatal(err)
	}
	claimed := binary.LittleEndian.AppendUint32(nil, 1<<20)
	if bytes.Count(raw, claimed) != 2 {
		t.Fatal("the size does not appear twice in the archive")
	}
	raw = bytes.ReplaceAll(raw, claimed, binary.LittleEndian.AppendUint32(nil, 10))
	dir := t.TempDir()
	if _, err := (Job{}).Unzip(context.Background(), archiveFrom(t, raw), dir, png); err == nil {
		t.Error("got no error")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("got %v, want nothing", entries)
	}
}

func TestADamagedArchiveGivesWholeFilesOrNone(t *testing.T) {
	raw, err := os.ReadFile(archiveOf(t, entry{"1.png", noise(5000, 1), 0}, entry{"2.png", noise(5000, 2), 0}))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	changed := bytes.Clone(raw)
	changed[7000] ^= 1 // in the second file
	if n, err := (Job{}).Unzip(context.Background(), archiveFrom(t, changed), dir, png); err == nil || n != 1 || !strings.Contains(err.Error(), "2.png") {
		t.Errorf("got %d files, %v; want the first and an error about 2.png", n, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 || entries[0].Name() != "1.png" {
		t.Errorf("got %v, want 1.png alone", entries)
	}
	if _, err := (Job{}).Unzip(context.Background(), archiveFrom(t, raw[:len(raw)-30]), dir, png); err == nil {
		t.Error("an archive without its end gave no error")
	}
	if _, err := (Job{}).Unzip(context.Background(), archiveFrom(t, []byte("hello")), dir, png); err == nil {
		t.Error("a text gave no error")
	}
}

func TestAnInterruptedUnpackingGoesOn(t *testing.T) {
	archive := archiveOf(t, entry{"1.png", noise(5000, 1), 0}, entry{"2.png", noise(5000, 2), 0}, entry{"3.png", noise(5000, 3), 0})
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	job := Job{Progress: func(_ string, done, _ int64) {
		if done == 10_000 {
			cancel()
		}
	}}
	if n, err := job.Unzip(ctx, archive, dir, png); !errors.Is(err, context.Canceled) || n != 2 {
		t.Fatalf("got %d files, %v; want 2 and context.Canceled", n, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("got %v, want two whole files", entries)
	}
	old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, name := range []string{"1.png", "2.png"} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	spoilt := noise(4000, 9)
	if err := os.WriteFile(filepath.Join(dir, "2.png"), spoilt, 0o666); err != nil {
		t.Fatal(err)
	}
	if n, err := (Job{}).Unzip(context.Background(), archive, dir, png); err != nil || n != 3 {
		t.Fatalf("got %d files, %v", n, err)
	}
	if info, _ := os.Stat(filepath.Join(dir, "1.png")); !info.ModTime().Equal(old) {
		t.Error("a whole file was unpacked again")
	}
	for i, name := range []string{"1.png", "2.png", "3.png"} {
		if got, _ := os.ReadFile(filepath.Join(dir, name)); !bytes.Equal(got, noise(5000, uint64(i+1))) {
			t.Errorf("%s is not as in the archive", name)
		}
	}
}
