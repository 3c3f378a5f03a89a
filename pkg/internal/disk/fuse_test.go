//go:build linux

package disk

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestAMountedFileSystemIsAsOddAsItSays(t *testing.T) {
	for _, odd := range []Odd{{}, {FoldsCase: true}, {NoLocks: true}} {
		dir := Mounted(t, odd)
		sub := filepath.Join(dir, "Sub")
		if err := os.Mkdir(sub, 0o777); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(sub, "a")
		if err := os.WriteFile(path, []byte("text"), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path, filepath.Join(sub, "b")); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(dir, "sub", "B"))
		if folds := err == nil && string(raw) == "text"; folds != odd.FoldsCase {
			t.Errorf("%+v: another spelling reads %q, %v", odd, raw, err)
		}
		f, err := os.OpenFile(filepath.Join(sub, "b"), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.ENOLCK) != odd.NoLocks {
			t.Errorf("%+v: a lock: %v", odd, err)
		}
		f.Close()
	}
}
