package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Quarantine renames a file that cannot be used, to the first free of path.why-1,
// path.why-2 and so on, so that it is kept but no longer found, and returns its new
// path.
func Quarantine(path, why string) (string, error) {
	for n := 1; ; n++ {
		kept := fmt.Sprintf("%s.%s-%d", path, why, n)
		if _, err := os.Lstat(kept); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.Rename(path, kept); err != nil {
			return "", fmt.Errorf("durable: %w", err)
		}
		return kept, nil
	}
}

// Invalid is why a file is quarantined that is damaged.
const Invalid = "invalid"
