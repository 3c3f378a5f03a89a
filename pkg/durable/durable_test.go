package durable

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAnAbortedWriteLeavesTheOldFileAndNoRest(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "history.json")
	if err := WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("half of the ne")); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("before Commit a reader sees %q, want the old content", got)
	}
	f.Abort()
	assertFolder(t, dir, "history.json")
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("after Abort the file holds %q, want the old content", got)
	}
}

func TestCommitReplacesTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, content := range []string{"one", "two"} {
		if err := WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != content {
			t.Errorf("got %q, want %q", got, content)
		}
	}
	assertFolder(t, dir, "a")
}

func TestCommitOntoAFolderFailsAndCleansUp(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.MkdirAll(filepath.Join(path, "child"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("x")); err == nil {
		t.Error("writing over a folder succeeded")
	}
	assertFolder(t, dir, "a")
}

func TestSweepRemovesOnlyUnfinishedFiles(t *testing.T) {
	dir := t.TempDir()
	if err := WriteFile(filepath.Join(dir, "keep"), nil); err != nil {
		t.Fatal(err)
	}
	f, err := Create(filepath.Join(dir, "killed"))
	if err != nil {
		t.Fatal(err)
	}
	f.Close() // as a killed process would leave it
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	assertFolder(t, dir, "keep")
}

func assertFolder(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if len(got) != len(want) {
		t.Fatalf("folder holds %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("folder holds %v, want %v", got, want)
		}
	}
}

func TestAFolderIsLockedForOneAtATime(t *testing.T) {
	dir := t.TempDir()
	unlock, err := LockFolder(context.Background(), dir, func() { t.Error("waited for nobody") })
	if err != nil {
		t.Fatal(err)
	}
	waiting, inside := make(chan bool, 1), make(chan bool)
	go func() {
		unlock, err := LockFolder(context.Background(), dir, func() { waiting <- true })
		if err != nil {
			t.Error(err)
		}
		close(inside)
		unlock()
	}()
	<-waiting
	select {
	case <-inside:
		t.Error("two were inside at the same time")
	case <-time.After(120 * time.Millisecond):
	}
	unlock()
	<-inside
	if _, err := LockFolder(context.Background(), filepath.Join(dir, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestAFileIsCreatedBesideNoOther(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := WriteFile(from, []byte("copy")); err != nil {
		t.Fatal(err)
	}
	if err := CopyNew(from, to); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(to); string(got) != "copy" {
		t.Errorf("got %q, want the copy", got)
	}
	if err := WriteFile(to, []byte("of somebody else")); err != nil {
		t.Fatal(err)
	}
	if err := CopyNew(from, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want fs.ErrExist", err)
	}
	if got, _ := os.ReadFile(to); string(got) != "of somebody else" {
		t.Errorf("the file that was there holds %q now", got)
	}
	assertFolder(t, dir, "from", "to")
}
