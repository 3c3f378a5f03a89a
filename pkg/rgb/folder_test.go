package rgb

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPictureNames(t *testing.T) {
	for name, want := range map[string]bool{
		"a.png": true, "A.PNG": true, "dir/b.jpg": true, "c.JPEG": true,
		"a.txt": false, "png": false, ".hidden.png": false, ".unfinished-a.png-1": false, "manifest.json": false, ".png": false,
	} {
		if got := IsPicture(name); got != want {
			t.Errorf("IsPicture(%q) is %v, want %v", name, got, want)
		}
	}
}

func TestListFindsPicturesAndLinksToThemButNothingElse(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.png", "a.JPG", "notes.txt", ".hidden.png"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.png"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "b.png"), filepath.Join(dir, "c.png")); err != nil {
		t.Fatal(err)
	}
	got, err := List(dir)
	if want := []string{"a.JPG", "b.png", "c.png"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("List gives %v, %v, want %v", got, err, want)
	}
	if _, err := List(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder gives %v, want fs.ErrNotExist", err)
	}
}

func TestStem(t *testing.T) {
	for path, want := range map[string]string{"valid/0801.png": "0801", "a.b.jpg": "a.b", "plain": "plain"} {
		if got := Stem(path); got != want {
			t.Errorf("Stem(%q) is %q, want %q", path, got, want)
		}
	}
}
