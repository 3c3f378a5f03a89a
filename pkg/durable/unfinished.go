package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// unfinished are the files that this process has under construction.
var unfinished struct {
	sync.Mutex
	files     map[*File]bool
	abandoned bool
}

// errAbandoned is what writing ends with after [Abandon].
var errAbandoned = errors.New("the program ends before this file is written")

// Abandon removes all files that this process has under construction, and lets none
// get its name any more: for a program that has to end while something in it cannot
// be stopped. What has its name already is whole, and stays.
func Abandon() {
	unfinished.Lock()
	defer unfinished.Unlock()
	unfinished.abandoned = true
	for f := range unfinished.files {
		os.Remove(f.Name())
	}
}

// begin makes the file that is going to be path.
func begin(path string) (*File, error) {
	unfinished.Lock()
	defer unfinished.Unlock()
	if unfinished.abandoned {
		return nil, errAbandoned
	}
	// With so much of its name a person recognises the file, and the longest names that there are stay within the limit.
	const recognised = 100
	temp, err := os.CreateTemp(filepath.Dir(path), TempPrefix+Shortened(filepath.Base(path), maxName-recognised)+"-*")
	if err != nil {
		return nil, err
	}
	if unfinished.files == nil {
		unfinished.files = map[*File]bool{}
	}
	f := &File{File: temp, path: path}
	unfinished.files[f] = true
	return f, nil
}

// end gives the file its name; without one, or where that fails, it is removed.
func (f *File) end(rename func() error) (err error) {
	unfinished.Lock()
	defer unfinished.Unlock()
	delete(unfinished.files, f)
	switch {
	case rename == nil:
	case unfinished.abandoned:
		err = errAbandoned
	default:
		if err = rename(); err == nil {
			return nil
		}
	}
	os.Remove(f.Name())
	return err
}

// abandonedAfter is how old an unfinished file must be where no lock tells whether
// somebody writes it.
const abandonedAfter = time.Hour

// Sweep removes the unfinished files that killed processes left in dir. Those that a
// process writes at this moment stay: it has them locked. Where there are no locks,
// files that somebody has written to in the last hour stay. Files that wait in a [Batch]
// have no lock: their folder must have one.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), TempPrefix) || !e.Type().IsRegular() {
			continue
		}
		if err := sweep(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// sweep removes an unfinished file unless somebody may be writing it.
func sweep(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // NFS locks no file that is open for reading alone
	if err == nil {
		defer f.Close() // not before it is removed: Create looks whether it is there when it has locked it
		free, err := TryLock(f)
		if !free {
			return nil
		}
		if err == nil {
			return os.Remove(path)
		}
	}
	info, err := os.Lstat(path)
	if err != nil || time.Since(info.ModTime()) < abandonedAfter {
		return err
	}
	return os.Remove(path)
}
