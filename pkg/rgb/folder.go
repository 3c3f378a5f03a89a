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
// inside are not searched, links are followed. A missing dir gives an error
// that wraps fs.ErrNotExist.
func List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("rgb: %w", err)
	}
	var names []string
	for _, e := range entries {
		if !IsPicture(e.Name()) {
			continue
		}
		if !e.Type().IsRegular() {
			info, err := os.Stat(filepath.Join(dir, e.Name()))
			if err != nil {
				return nil, fmt.Errorf("rgb: %w", err)
			}
			if !info.Mode().IsRegular() {
				continue
			}
		}
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, nil
}
