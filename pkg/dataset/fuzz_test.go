package dataset

import (
	"os"
	"path/filepath"
	"testing"

	"rekindle/pkg/internal/allocation"
)

// FuzzPack: a file of decoded pictures of any content is refused, or all its
// pictures can be read.
func FuzzPack(f *testing.F) {
	photos := []*photo{{w: 2, h: 1, id: fileID{1}}, {w: 1, h: 3, id: fileID{2}}}
	head := packHead(photos)
	f.Add(append(head, make([]byte, 15)...))
	f.Add(head)
	f.Add(packHead(nil))
	path := filepath.Join(f.TempDir(), "a"+packEnding)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := os.WriteFile(path, raw, 0o666); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var list []listed
		allocation.Within(t, len(raw), 8, 1<<16, func() { list, err = readPack(file) })
		if err != nil {
			return
		}
		for _, l := range list {
			p := &photo{w: l.w, h: l.h, offset: l.offset}
			if _, err := (&pack{file: file}).read(p, 0, 0, p.w, p.h); err != nil {
				t.Fatalf("%+v: %v", l, err)
			}
		}
	})
}
