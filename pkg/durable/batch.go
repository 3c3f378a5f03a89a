package durable

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Batch gives many files of one folder their names together: their contents are
// flushed with one call for all of them, and so is the folder, where [File.Commit]
// flushes both for each file. It is for one goroutine at a time.
type Batch struct {
	dir   *os.File // open since before the first file was written: errors of writing are told to it
	files []*File
}

// NewBatch begins a batch of files in dir.
func NewBatch(dir string) (*Batch, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return &Batch{dir: d}, nil
}

// Len is the number of files that wait for their names.
func (b *Batch) Len() int { return len(b.files) }

// Add takes a file that was written to its end. Only the batch may use it then.
func (b *Batch) Add(f *File) error {
	if err := f.Close(); err != nil {
		f.Abort()
		return err
	}
	f.done = true // as far as its own Abort goes
	b.files = append(b.files, f)
	return nil
}

// Commit makes the files visible under their names; the batch is empty then. Each
// is there whole, or as it was: after an error those that have not got their names
// are removed.
func (b *Batch) Commit() error {
	files := b.files
	b.files = nil
	if len(files) == 0 {
		return nil
	}
	err := b.flush(files)
	for _, f := range files {
		rename := func() error { return os.Rename(f.Name(), f.path) }
		if err != nil {
			rename = nil
		}
		err = errors.Join(err, f.end(rename))
	}
	if err != nil {
		return err
	}
	return SyncDir(filepath.Dir(files[0].path))
}

// flush brings the contents of files to the disk.
func (b *Batch) flush(files []*File) error {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(b.dir.Fd()), &s); err == nil && s.Type != unix.FUSE_SUPER_MAGIC { // whose servers are not told
		err := unix.Syncfs(int(b.dir.Fd()))
		if !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
			return err
		}
	}
	for _, f := range files {
		again, err := os.Open(f.Name())
		if err != nil {
			return err
		}
		err = again.Sync()
		if again.Close(); err != nil {
			return err
		}
	}
	return nil
}

// Close removes the files that wait for their names.
func (b *Batch) Close() {
	for _, f := range b.files {
		_ = f.end(nil)
	}
	b.files = nil
	b.dir.Close()
}
