package rgb

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// IsPicture says whether the name of a file ends as that of a PNG or JPEG
// picture, in small letters or capitals. Names that begin with a dot are never
// pictures: unfinished and hidden files have such names.
func IsPicture(name string) bool {
	name = filepath.Base(name)
	switch strings.ToLower(filepath.Ext(name)) {
	case ".png", ".jpg", ".jpeg":
		return !strings.HasPrefix(name, ".")
	}
	return false
}

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
