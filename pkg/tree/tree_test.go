package tree

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/internal/disk"
)

func file(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, from string) {
	t.Helper()
	if err := os.Symlink(to, from); err != nil {
		t.Fatal(err)
	}
}

func TestLinksAreFollowedButNoLoops(t *testing.T) {
	dir, disk := t.TempDir(), t.TempDir()
	root := filepath.Join(dir, "root")
	file(t, filepath.Join(root, "a", "1"))
	file(t, filepath.Join(root, "skipped", "x"))
	file(t, filepath.Join(disk, "far", "2"))
	link(t, filepath.Join(disk, "far"), filepath.Join(root, "b"))
	link(t, root, filepath.Join(root, "a", "loop"))
	link(t, filepath.Join(root, "self"), filepath.Join(root, "self"))
	link(t, "nowhere", filepath.Join(root, "c"))
	link(t, root, filepath.Join(dir, "linked root"))
	var found, passed []string
	from := filepath.Join(dir, "linked root")
	err := Walk(from, func(path string, info fs.FileInfo) error {
		rel, _ := filepath.Rel(from, path)
		found = append(found, rel)
		if info.Name() == "skipped" {
			return fs.SkipDir
		}
		return nil
	}, func(why error) { passed = append(passed, strings.ReplaceAll(why.Error(), from+"/", "")) })
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{".", "a", "a/1", "b", "b/2", "skipped"}; !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	if want := []string{"a/loop leads back to a folder that it lies in", "c is a link to nowhere, which is not there", "self is a link that leads to itself"}; !slices.Equal(passed, want) {
		t.Errorf("passed over %q, want %q", passed, want)
	}
	if err := Walk(filepath.Join(dir, "none"), nil, nil); !os.IsNotExist(err) {
		t.Errorf("a root that is not there: %v", err)
	}
}

// As lost+found of a disk, which only root may read. Root may read all here, so
// another user looks.
func TestAFolderThatMayNotBeReadIsPassedOver(t *testing.T) {
	root := t.TempDir()
	file(t, filepath.Join(root, "lost+found", "x"))
	file(t, filepath.Join(root, "photos", "1"))
	if err := os.Chmod(filepath.Join(root, "lost+found"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(root, "lost+found"), 0o777)
	disk.AsSomebody(t, root, func() {
		var found, passed int
		err := Walk(root, func(string, fs.FileInfo) error { found++; return nil }, func(error) { passed++ })
		if err != nil || found != 4 || passed != 1 {
			t.Errorf("found %d and passed over %d (%v), want 4 and 1", found, passed, err)
		}
	})
}

func TestAFoldersNameIsNoPattern(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "photos [1]*")
	for _, name := range []string{"b.whl", "a [2].whl", "c.txt", "sub/d.whl"} {
		file(t, filepath.Join(dir, name))
	}
	if got, want := Glob(dir, "*.whl"), []string{filepath.Join(dir, "a [2].whl"), filepath.Join(dir, "b.whl")}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	if got := Glob(dir, "s*/d.whl"); len(got) != 1 {
		t.Errorf("found %q in a folder in it", got)
	}
	if got := Glob(filepath.Join(dir, "none"), "*"); len(got) > 0 {
		t.Errorf("found %q where nothing is", got)
	}
}
