// Package durable writes files that survive a crash: a reader meets the old
// content or the new, never half of one, and a power cut after a nil error
// loses nothing.
//
// Every write goes to a temporary file in the same folder, is flushed to the
// disk (fsync), renamed over the final name, and then the folder itself is
// flushed. A temporary file left behind by a killed process begins with
// [TempPrefix]; [Sweep] removes such leftovers. A program that has to end at once
// calls [Abandon].
//
//	err := durable.WriteFile("history.json", data)
package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// TempPrefix begins the name of every unfinished file.
const TempPrefix = ".unfinished-"

// File is a file under construction. It becomes visible under its final name
// only when [File.Commit] returns nil.
type File struct {
	*os.File
	path string
	done bool
}

// Create starts a file that will appear as path. The folder must exist.
func Create(path string) (*File, error) {
	for {
		f, err := begin(path)
		if err != nil {
			return nil, err
		}
		// CreateTemp makes files that only their owner can read; results are for everyone the umask allows.
		// File systems without such rights (vfat, exFAT) may refuse, and hold the file all the same.
		_ = f.Chmod(0o666 &^ umask())
		// Its lock tells Sweep that somebody writes it. Where a Sweep came between, it is gone already.
		if locked, _ := TryLock(f.File); locked {
			if _, err := os.Lstat(f.Name()); err == nil {
				return f, nil
			}
		}
		f.Abort()
	}
}

// Commit flushes the content, gives the file its final name and flushes the
// folder. After an error nothing is left behind and an older file of that name
// is untouched.
func (f *File) Commit() error { return f.commit(os.Rename) }

// CommitNew is Commit for a name that nobody has taken in the meantime. Where
// somebody has, the file of that name is untouched and the error is fs.ErrExist.
func (f *File) CommitNew() error { return f.commit(renameNew) }

// renameNew renames a file unless there is one of the new name.
func renameNew(from, to string) error {
	err := os.Link(from, to)
	if err == nil {
		return os.Remove(from)
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	// No hard links here (vfat, exFAT, some network mounts): between looking and renaming is a moment that cannot be closed.
	if _, err := os.Lstat(to); err == nil {
		return &fs.PathError{Op: "create", Path: to, Err: fs.ErrExist}
	}
	return os.Rename(from, to)
}

func (f *File) commit(rename func(from, to string) error) error {
	if f.done {
		return fmt.Errorf("durable: %s: already committed or aborted", f.path)
	}
	if err := f.Sync(); err != nil {
		f.Abort()
		return err
	}
	f.done = true
	if err := f.Close(); err != nil {
		_ = f.end(nil)
		return err
	}
	if err := f.end(func() error { return rename(f.Name(), f.path) }); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(f.path))
}

// Abort throws the unfinished file away. It does nothing after Commit, so it
// can be deferred.
func (f *File) Abort() {
	if f.done {
		return
	}
	f.done = true
	f.Close()
	_ = f.end(nil)
}

// WriteFile replaces path by data, all or nothing.
func WriteFile(path string, data []byte) error { return WriteFrom(path, bytes.NewReader(data)) }

// WriteFrom replaces path by what from holds, all or nothing.
func WriteFrom(path string, from io.Reader) error { return write(path, from, (*File).Commit) }

func write(path string, from io.Reader, commit func(*File) error) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := io.Copy(f, from); err != nil {
		return err
	}
	return commit(f)
}

// Copy replaces to by the content of from, all or nothing.
func Copy(from, to string) error { return copyFile(from, to, (*File).Commit) }

// CopyNew is Copy for a name that is not taken; see [File.CommitNew].
func CopyNew(from, to string) error { return copyFile(from, to, (*File).CommitNew) }

func copyFile(from, to string, commit func(*File) error) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return write(to, in, commit)
}

// Link gives a file that is on the disk another name, replacing what has it, all or
// nothing. Where there are no hard links it is a copy. Both names must only ever be
// replaced, as all functions here do: what is written into one is in the other.
func Link(from, to string) error {
	f, err := Create(to)
	if err != nil {
		return err
	}
	f.Abort() // its name is free
	if err := os.Link(from, f.Name()); err != nil {
		return Copy(from, to)
	}
	err = os.Rename(f.Name(), to)
	os.Remove(f.Name()) // renaming one name of a file to another of its names does nothing
	if err != nil {
		return err
	}
	return SyncDir(filepath.Dir(to))
}

// MayOnlyRead reports whether err says that nothing may be written there: a disk that
// is mounted read-only, a snapshot, a folder of another user.
func MayOnlyRead(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission) // the latter is EACCES and EPERM
}

// Full reports whether err says that a disk has no room left, or a quota.
func Full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// SyncDir flushes a folder, so that renames in it are on the disk. File
// systems that cannot flush folders (some network mounts) are forgiven.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}
