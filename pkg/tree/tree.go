// Package tree walks folders as people have them: with links to folders on other
// disks, links that lead nowhere, and folders that may not be read.
//
//	err := tree.Walk("photos", visit, func(why error) { fmt.Println("passed over:", why) })
package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Walk calls visit for a folder and for all that lies in it, however deep, in the
// order of names, folders before what is in them. Links are followed: info is of
// what a link leads to, path keeps the link's name. A visit that returns
// [fs.SkipDir] for a folder keeps out of it; any other error ends the walk.
//
// What cannot be looked at is passed over, and why is told: a link that leads
// nowhere, a folder that may not be read, and one that leads back to a folder that
// it lies in. Only a root that cannot be read is an error.
func Walk(root string, visit func(path string, info fs.FileInfo) error, passed func(why error)) error {
	info, err := os.Stat(root)
	if err != nil {
		return err
	}
	if _, err := os.ReadDir(root); err != nil && info.IsDir() {
		return err
	}
	err = walk(root, info, nil, visit, passed)
	if errors.Is(err, fs.SkipDir) {
		return nil
	}
	return err
}

// Glob returns the paths of what lies in a folder under names that match a pattern
// such as "*.whl", in the order of names. The folder's own name is no pattern, as it is
// for filepath.Glob: people have folders called "photos [1]".
func Glob(dir, pattern string) []string {
	names, _ := fs.Glob(os.DirFS(dir), pattern) // a folder that is not there holds nothing
	for i := range names {
		names[i] = filepath.Join(dir, names[i])
	}
	return names
}

func walk(path string, info fs.FileInfo, around []fs.FileInfo, visit func(string, fs.FileInfo) error, passed func(error)) error {
	for _, folder := range around {
		if info.IsDir() && os.SameFile(info, folder) {
			passed(fmt.Errorf("%s leads back to a folder that it lies in", path))
			return nil
		}
	}
	if err := visit(path, info); err != nil {
		if info.IsDir() && errors.Is(err, fs.SkipDir) {
			return nil
		}
		return err
	}
	if !info.IsDir() {
		return nil
	}
	entries, err := os.ReadDir(path)
	if err != nil { // what was read until then is looked at
		passed(err)
	}
	around = append(around[:len(around):len(around)], info)
	for _, e := range entries {
		inner := filepath.Join(path, e.Name())
		info, err := os.Stat(inner)
		switch {
		case errors.Is(err, fs.ErrNotExist) && e.Type()&fs.ModeSymlink == 0:
			continue // removed a moment ago
		case errors.Is(err, fs.ErrNotExist):
			to, _ := os.Readlink(inner)
			passed(fmt.Errorf("%s is a link to %s, which is not there", inner, to))
			continue
		case errors.Is(err, syscall.ELOOP):
			passed(fmt.Errorf("%s is a link that leads to itself", inner))
			continue
		case err != nil:
			passed(err)
			continue
		}
		if err := walk(inner, info, around, visit, passed); err != nil {
			return err
		}
	}
	return nil
}
