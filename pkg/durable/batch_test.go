package durable

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestFilesOfABatchAppearTogether(t *testing.T) {
	dir := t.TempDir()
	b, err := NewBatch(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	add := func(name, content string) {
		f, err := Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Abort()
		if _, err := f.WriteString(content); err != nil {
			t.Fatal(err)
		}
		if err := b.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	names := func() string {
		found, _ := filepath.Glob(filepath.Join(dir, "[a-z]*"))
		for i := range found {
			found[i] = filepath.Base(found[i])
		}
		return fmt.Sprint(found)
	}
	hidden := func() int {
		found, _ := filepath.Glob(filepath.Join(dir, TempPrefix+"*"))
		return len(found)
	}
	for range 2 { // replaced the second time
		add("a", "first")
		add("b", "second")
		if b.Len() != 2 {
			t.Errorf("%d files wait, want 2", b.Len())
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if raw, _ := os.ReadFile(filepath.Join(dir, "b")); names() != "[a b]" || string(raw) != "second" || hidden() > 0 {
		t.Errorf("the folder holds %s and %d unfinished files; b is %q", names(), hidden(), raw)
	}
	add("c", "")
	if names() != "[a b]" {
		t.Errorf("before Commit there is %s", names())
	}
	// A name that cannot be had: what comes before it is there, what follows is not, and nothing unfinished is.
	if err := os.MkdirAll(filepath.Join(dir, "d", "in the way"), 0o777); err != nil {
		t.Fatal(err)
	}
	add("d", "")
	add("e", "")
	if err := b.Commit(); err == nil || names() != "[a b c d]" || hidden() > 0 {
		t.Errorf("got %v, %s and %d unfinished files", err, names(), hidden())
	}
	add("f", "")
	b.Close()
	if names() != "[a b c d]" || hidden() > 0 {
		t.Errorf("closed, it leaves %s and %d unfinished files", names(), hidden())
	}
}
