//go:build linux

package restore

import (
	"os"
	"path/filepath"
	"testing"

	"rekindle/pkg/internal/disk"
	"rekindle/pkg/picture"
	"rekindle/pkg/rgb"
)

func TestNoResultReplacesAnotherWhereCaseDoesNotCount(t *testing.T) {
	in, out := t.TempDir(), disk.Mounted(t, disk.Odd{FoldsCase: true})
	for _, name := range []string{"A.png", "a.png", "a.PNG"} {
		if err := rgb.New(20, 20).SavePNG(filepath.Join(in, name)); err != nil {
			t.Fatal(err)
		}
	}
	work, _, err := Plan(in, out)
	if err != nil || len(work) != 3 {
		t.Fatal(work, err)
	}
	for _, w := range work {
		p, err := picture.Open(w.From)
		if err != nil {
			t.Fatal(err)
		}
		to, err := picture.Create(w.To, p.Info)
		if err != nil {
			t.Fatal(err)
		}
		if err := to.Write(make([]uint16, 20*20*p.Channels())); err != nil {
			t.Fatal(err)
		}
		if err := to.Commit(false); err != nil {
			t.Errorf("%s → %s: %v", w.From, w.To, err)
		}
		p.Close()
	}
	if there, err := os.ReadDir(out); len(there) != 3 {
		t.Errorf("of three pictures %v came out (%v)", there, err)
	}
}
