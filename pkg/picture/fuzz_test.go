package picture

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"rekindle/pkg/internal/allocation"
)

// FuzzPicture: a file of any content is refused or read, whole and row by row,
// what stands beside the pixels is written again, and none of it takes more memory
// than docs/reliability.md says: 40 bytes for each pixel that the file's size
// allows, and 16 times the size.
func FuzzPicture(f *testing.F) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		if raw, err := os.ReadFile(name); err == nil && filepath.Ext(name) != ".py" {
			f.Add(raw)
		}
	}
	const most = 1 << 20 // pixels, so that many files are tried in a minute
	f.Fuzz(func(t *testing.T, raw []byte) {
		size := int64(len(raw))
		var h header
		allocation.Within(t, len(raw), 16+40*unpacking, 1<<20, func() { h, err = headerOf(bytes.NewReader(raw), size) })
		if err != nil {
			return
		}
		pixels := min(int64(h.W)*int64(h.H), mostPixels(h.Format, size), most)
		allocation.Within(t, len(raw), 16, 1<<20+40*pixels, func() { _, _, _ = Decode(raw, most) })
		if int64(h.W)*int64(h.H) > most {
			return
		}
		r, err := read(bytes.NewReader(raw), size)
		if err != nil {
			return
		}
		row := make([]uint16, r.W*r.Channels())
		for range r.H {
			if err = r.Read(row); err != nil {
				break
			}
		}
		if err == nil {
			if err := r.Read(row); err != io.EOF {
				t.Errorf("behind the last row comes %v", err)
			}
		}
		w := Writer{Info: r.Info}
		w.pngChunks()
		w.jpegSegments()
	})
}
