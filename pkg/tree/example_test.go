package tree_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rekindle/pkg/tree"
)

// A link to a folder elsewhere is followed, one that leads nowhere is told.
func ExampleWalk() {
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)
	photos, disk := filepath.Join(dir, "photos"), filepath.Join(dir, "disk")
	check(os.Mkdir(photos, 0o777))
	check(os.Mkdir(disk, 0o777))
	check(os.WriteFile(filepath.Join(disk, "a.jpg"), nil, 0o666))
	check(os.Symlink(disk, filepath.Join(photos, "holidays")))
	check(os.Symlink("unmounted", filepath.Join(photos, "old")))

	check(tree.Walk(photos, func(path string, info fs.FileInfo) error {
		if !info.IsDir() {
			rel, err := filepath.Rel(photos, path)
			fmt.Println(rel)
			return err
		}
		return nil
	}, func(why error) { fmt.Println("something was passed over") }))
	// Output:
	// holidays/a.jpg
	// something was passed over
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
