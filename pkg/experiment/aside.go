package experiment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// SetAside renames a file that cannot be used, so that it is kept but no longer
// found, and returns its new path.
func SetAside(path string) (string, error) {
	for n := 1; ; n++ {
		kept := fmt.Sprintf("%s.invalid-%d", path, n)
		if _, err := os.Lstat(kept); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.Rename(path, kept); err != nil {
			return "", fmt.Errorf("experiment: %w", err)
		}
		return kept, nil
	}
}
