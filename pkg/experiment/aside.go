package experiment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// SetAside renames a file that cannot be used, so that it is kept but no longer
// found, and returns its new path.
func SetAside(path string) (string, error) { return rename(path, "invalid") }

// SetAsideHistory gives a history.json that no checkpoint goes with another name,
// before training begins anew in the folder, and returns its new path; "" where
// there is none, or none with an epoch in it.
func (e *Experiment) SetAsideHistory() (string, error) {
	h, err := LoadHistory(e.HistoryPath())
	if errors.Is(err, fs.ErrNotExist) || err == nil && h.Len() == 0 {
		return "", nil
	}
	return rename(e.HistoryPath(), "before")
}

func rename(path, why string) (string, error) {
	for n := 1; ; n++ {
		kept := fmt.Sprintf("%s.%s-%d", path, why, n)
		if _, err := os.Lstat(kept); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.Rename(path, kept); err != nil {
			return "", fmt.Errorf("experiment: %w", err)
		}
		return kept, nil
	}
}
