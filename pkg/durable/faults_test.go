//go:build linux

package durable

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"rekindle/pkg/internal/faults"
)

const apart = "DURABLE_TEST_APART"

// within runs the test once more, in a process whose system calls fail as fails says.
// It is true there.
func within(t *testing.T, fails func(faults.Call) syscall.Errno) bool {
	t.Helper()
	const unable = "no faults here"
	if os.Getenv(apart) != "" {
		if err := faults.Enter(os.NewFile(3, "socket")); err != nil {
			t.Skip(unable, err)
		}
		return true
	}
	ours, childs, err := faults.Socket()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env, cmd.ExtraFiles = append(os.Environ(), apart+"=1"), []*os.File{childs}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	childs.Close()
	watched := make(chan error)
	asked := 0
	go func() {
		watched <- faults.Watch(ours, func(c faults.Call) syscall.Errno {
			e := fails(c)
			if e != 0 {
				asked++
			}
			return e
		})
	}()
	err = errors.Join(cmd.Wait(), <-watched)
	if strings.Contains(out.String(), unable) {
		t.Skip(out.String())
	}
	if err != nil || asked == 0 {
		t.Errorf("%v, %d calls failed\n%s", err, asked, &out)
	}
	return false
}

func TestAFileSystemWithoutRightsHoldsFiles(t *testing.T) {
	if !within(t, func(c faults.Call) syscall.Errno {
		if c.Name == "fchmod" {
			return syscall.EPERM
		}
		return 0
	}) {
		return
	}
	path := filepath.Join(t.TempDir(), "a")
	if err := WriteFile(path, []byte("content")); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "content" {
		t.Errorf("got %q", got)
	}
}

// In a folder with the name of a number, locking fails with that error.
func TestAFileSystemWithoutLocksLetsEverybodyIn(t *testing.T) {
	if !within(t, func(c faults.Call) syscall.Errno {
		errno, err := strconv.Atoi(filepath.Base(filepath.Dir(c.Path)))
		if c.Name != "flock" || err != nil {
			return 0
		}
		return syscall.Errno(errno)
	}) {
		return
	}
	lock := func(errno syscall.Errno) *os.File {
		dir := filepath.Join(t.TempDir(), strconv.Itoa(int(errno)))
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(filepath.Join(dir, "lock"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	for _, errno := range []syscall.Errno{syscall.ENOTSUP, syscall.ENOLCK, syscall.ENOSYS, syscall.EINVAL, syscall.EIO, syscall.EPROTONOSUPPORT, syscall.EPERM} {
		f := lock(errno)
		if got, err := TryLock(f); !got || !errors.Is(err, ErrNoLocks) || !errors.Is(err, errno) {
			t.Errorf("%v: got %v, %v", errno, got, err)
		}
		unlock, err := LockFolder(context.Background(), filepath.Dir(f.Name()), func() { t.Error("waited for nobody") })
		if err != nil {
			t.Fatalf("%v: %v", errno, err)
		}
		unlock()
	}
	if got, err := TryLock(lock(syscall.EWOULDBLOCK)); got || err != nil {
		t.Errorf("somebody has it: got %v, %v", got, err)
	}
}

func TestALinkIsAnotherNameThatLivesOnItsOwn(t *testing.T) {
	linkOnce(t, true)
}

// As on vfat.
func TestWithoutHardLinksThereAreCopies(t *testing.T) {
	if !within(t, func(c faults.Call) syscall.Errno {
		if c.Name == "linkat" {
			return syscall.EPERM
		}
		return 0
	}) {
		return
	}
	linkOnce(t, false)
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := WriteFile(from, []byte("copy")); err != nil {
		t.Fatal(err)
	}
	if err := CopyNew(from, to); err != nil {
		t.Fatal(err)
	}
	if err := CopyNew(from, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want fs.ErrExist", err)
	}
	assertFolder(t, dir, "from", "to")
}

func linkOnce(t *testing.T, links bool) {
	t.Helper()
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
