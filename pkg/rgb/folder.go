package rgb

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rekindle/pkg/picture"
)

// IsPicture says whether the name of a file ends as that of a picture that
// [Load] reads, see [picture.Is].
func IsPicture(name string) bool { return picture.Is(name) }

// Stem is a file's name without folder and ending: "0801" for "valid/0801.png".
// Two pictures of one scene, degraded and clean, share it.
func Stem(path string) string {
	name := filepath.Base(path)
	return strings.TrimSuffix(name, filepath.Ext(name))
}

// List returns the names of the pictures directly in dir, sorted; folders
// inside are not searched, links are followed. Hidden files do not count:
// "._0801.png" holds what macOS knows of 0801.png. Links that lead nowhere are
// passed over, see [Dangling]. A missing dir gives an error that wraps
// fs.ErrNotExist.
func List(dir string) ([]string, error) {
	names, _, err := list(dir)
	return names, err
}

// Dangling returns a sentence for each picture's name in dir that is a link to
// nothing, as when a disk is not mounted.
func Dangling(dir string) []string {
	_, passed, _ := list(dir) // whoever lists the folder says what is wrong with it
	return passed
}

func list(dir string) (names, passed []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("rgb: %w", err)
	}
	for _, e := range entries {
		if !IsPicture(e.Name()) || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if !e.Type().IsRegular() {
			path := filepath.Join(dir, e.Name())
			info, err := os.Stat(path)
			if err != nil {
				to, _ := os.Readlink(path)
				passed = append(passed, fmt.Sprintf("%s is passed over: it is a link to %s, which cannot be read", path, to))
				continue
			}
			if !info.Mode().IsRegular() {
				continue
			}
		}
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, passed, nil
}
