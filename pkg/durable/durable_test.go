package durable

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
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

func TestAFileSystemWithoutRightsHoldsFiles(t *testing.T) {
	chmod = func(*os.File, os.FileMode) error { return syscall.EPERM }
	defer func() { chmod = (*os.File).Chmod }()
	path := filepath.Join(t.TempDir(), "a")
	if err := WriteFile(path, []byte("content")); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "content" {
		t.Errorf("got %q", got)
	}
}

func TestAFileSystemWithoutLocksLetsEverybodyIn(t *testing.T) {
	defer func() { flock = syscall.Flock }()
	f, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, errno := range []syscall.Errno{syscall.ENOTSUP, syscall.ENOLCK, syscall.ENOSYS, syscall.EINVAL, syscall.EIO, syscall.EPROTONOSUPPORT, syscall.EPERM} {
		flock = func(int, int) error { return errno }
		if got, err := TryLock(f); !got || !errors.Is(err, ErrNoLocks) || !errors.Is(err, errno) {
			t.Errorf("%v: got %v, %v", errno, got, err)
		}
		unlock, err := LockFolder(context.Background(), filepath.Dir(f.Name()), func() { t.Error("waited for nobody") })
		if err != nil {
			t.Fatalf("%v: %v", errno, err)
		}
		unlock()
	}
	flock = func(int, int) error { return syscall.EWOULDBLOCK }
	if got, err := TryLock(f); got || err != nil {
		t.Errorf("somebody has it: got %v, %v", got, err)
	}
}

func TestALinkIsAnotherNameThatLivesOnItsOwn(t *testing.T) {
	for _, links := range []bool{true, false} {
		if !links { // as on vfat
			link = func(_, to string) error { return &os.LinkError{Op: "link", New: to, Err: syscall.EPERM} }
			defer func() { link = os.Link }()
		}
		dir := t.TempDir()
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		write := func(path, text string) {
			t.Helper()
			if err := WriteFile(path, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		holds := func(path, want string) {
			t.Helper()
			if got, err := os.ReadFile(path); err != nil || string(got) != want {
				t.Errorf("links %v: %s holds %q (%v), want %q", links, filepath.Base(path), got, err, want)
			}
		}
		write(a, "one")
		write(b, "old")
		for range 2 { // the second time b is a name of a already
			if err := Link(a, b); err != nil {
				t.Fatal(err)
			}
			holds(b, "one")
		}
		x, _ := os.Stat(a)
		y, _ := os.Stat(b)
		if os.SameFile(x, y) != links {
			t.Errorf("links %v: one file is %v", links, !links)
		}
		write(a, "two")
		holds(b, "one")
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
			t.Errorf("links %v: left behind: %v, %v", links, entries, err)
		}
		if err := Link(filepath.Join(dir, "none"), b); err == nil {
			t.Errorf("links %v: a file that is not there was linked", links)
		}
		holds(b, "one")
	}
}
