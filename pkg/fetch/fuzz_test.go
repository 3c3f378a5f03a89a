package fetch

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/internal/allocation"
)

// FuzzUnzip: an archive of any content is refused, or what is unpacked of it are
// regular files in the folder.
func FuzzUnzip(f *testing.F) {
	archive := func(method uint16, names ...string) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for _, name := range names {
			e, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
			if err == nil && !strings.HasSuffix(name, "/") {
				_, err = e.Write(bytes.Repeat([]byte(name), 100))
			}
			if err != nil {
				f.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		return b.Bytes()
	}
	f.Add(archive(zip.Store, "a/1.png", "a/2.png"))
	f.Add(archive(zip.Deflate, "1.png", "x.txt", "b/"))
	f.Add(archive(zip.Deflate, "../1.png"))
	f.Add(archive(zip.Store, "1.png", "c/1.png"))
	dir := f.TempDir()
	path := filepath.Join(dir, "archive.zip")
	f.Fuzz(func(t *testing.T, raw []byte) {
		to := filepath.Join(dir, "to")
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, raw, 0o666); err != nil {
			t.Fatal(err)
		}
		allocation.Within(t, len(raw), 100, 1<<20, func() { _, _ = (Job{}).Unzip(t.Context(), path, to, png) })
		outside, err := os.ReadDir(dir)
		if err != nil || len(outside) > 2 {
			t.Fatalf("beside the folder are %v (%v)", outside, err)
		}
		inside, _ := os.ReadDir(to)
		for _, e := range inside {
			info, err := e.Info()
			if err != nil || !info.Mode().IsRegular() || !png(e.Name()) {
				t.Fatalf("%s was unpacked (%v)", e.Name(), err)
			}
		}
	})
}
