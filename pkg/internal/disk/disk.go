// Package disk gives tests the file systems that people have: one that may only be
// read, a small one that fills up, and folders of another user. Where the machine
// does not let them, tests that need them are skipped.
package disk

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// ReadOnly makes a folder one that may only be read, even by root, until writable
// is called or the test ends.
func ReadOnly(t *testing.T, dir string) (writable func()) {
	t.Helper()
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("a folder cannot be made read-only here (%v): run the tests as root", err)
	}
	done := false
	writable = func() {
		if !done {
			done = true
			unix.Unmount(dir, unix.MNT_DETACH)
		}
	}
	t.Cleanup(writable)
	if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("a folder cannot be made read-only here: %v", err)
	}
	return writable
}

// Small is a folder on a disk of its own with so much room, such as "6m".
func Small(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small disk cannot be mounted here (%v): run the tests as root", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// Fill takes all the room that is left on the disk of a folder, until free is called.
func Fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	f, err := os.CreateTemp(dir, "filler-*")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	return func() { os.Remove(f.Name()) }
}

// AsSomebody runs f as a user who may do with dir and all in it only what its rights
// grant to others: root may read and write everything.
func AsSomebody(t *testing.T, dir string, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	for at := dir; at != "/" && at != os.TempDir(); at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		const nobody = 65534
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0); errno != 0 {
			t.Errorf("setfsuid: %v", errno)
			return
		}
		f()
	}()
	<-done
}
