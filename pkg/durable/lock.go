package durable

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrNoLocks is returned where a file system has no locks, in whatever words it says so.
var ErrNoLocks = errors.New("this file system has no locks")

// TryLock takes the lock that belongs to an open file until that is closed, and
// reports false while another process has it. Where the file system has no locks it
// reports true and [ErrNoLocks]: nothing keeps others out, and nothing says that
// they are in.
func TryLock(f *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			// ENOTSUP, ENOLCK and ENOSYS are usual; Lustre, 9p and FUSE have others. None of them means that somebody has it.
			return true, fmt.Errorf("%w (%w)", ErrNoLocks, err)
		}
	}
}

// LockFolder waits until no other process works in dir, and keeps others out
// until unlock is called. waiting, if not nil, is called once when it has to
// wait. The lock belongs to an open file, ".lock" in dir: the system drops it
// when the process ends, however it ends. A file system without locks lets
// everybody in.
func LockFolder(ctx context.Context, dir string, waiting func()) (unlock func(), err error) {
	return LockFile(ctx, filepath.Join(dir, ".lock"), waiting)
}

// LockFile is [LockFolder] with a file of another name.
func LockFile(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	if err := Lock(ctx, f, waiting); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// Lock waits for the lock that belongs to an open file or folder, until that is closed.
func Lock(ctx context.Context, f *os.File, waiting func()) error {
	for {
		if locked, _ := TryLock(f); locked {
			return nil
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for another process that works in %s: %w", filepath.Dir(f.Name()), ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
