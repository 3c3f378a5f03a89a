package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Scratch makes a folder, called name and a number, for as long as this program uses it.
// Those in dir that killed programs left it removes: who lives has his locked.
func Scratch(dir, name string) (path string, remove func(), err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, err
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), name+"-") {
			continue
		}
		old := filepath.Join(dir, e.Name())
		if f, err := os.Open(old); err == nil {
			if free, err := TryLock(f); free && err == nil {
				_ = os.RemoveAll(old) // what stays is tried again
			}
			f.Close()
		}
	}
	for {
		if path, err = os.MkdirTemp(dir, name+"-*"); err != nil {
			return "", nil, err
		}
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another program came between, and has removed it
		}
		if err != nil {
			os.Remove(path)
			return "", nil, err
		}
		free, _ := TryLock(f)
		if _, err := os.Lstat(path); free && err == nil {
			return path, func() { os.RemoveAll(path); f.Close() }, nil
		}
		f.Close() // the same
	}
}
