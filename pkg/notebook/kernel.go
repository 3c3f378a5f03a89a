package notebook

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rekindle/pkg/notebook/cell"
)

// memory is what a kernel remembers between its cells.
type memory struct {
	Experiment string `json:"experiment"`           // folder
	NoneUnder  string `json:"none_under,omitempty"` // the folder in which there was no experiment to show
	Warned     string `json:"warned,omitempty"`     // what the last mismatch warning was about
	Looking    bool   `json:"looking,omitempty"`    // SKIP_TRAINING: missing pictures are no failure

	// Refused is why the cell that makes the data cannot vouch for a part of them.
	Refused map[string]string `json:"refused,omitempty"`
}

var (
	keptMemory = cell.Keep[memory]("rekindle.json")
	// The page empties these two before the cells that save them are compiled: cells below
	// must not run with what is no longer on the page, whatever became of those cells.
	keptSettings = cell.Keep[settings]("rekindle_settings.json")
	keptSkip     = cell.Keep[bool]("rekindle_skip")
)

func recall() (memory, error) {
	m, err := keptMemory.Load()
	if errors.Is(err, cell.ErrNotKept) {
		return m, nil
	}
	if err != nil {
		return m, fmt.Errorf("what this kernel remembers cannot be read (%w); restart the kernel", err)
	}
	return m, nil
}

func remember(m memory) error {
	if dir := os.Getenv(cell.RunDirVariable); dir != "" && m.Experiment != "" {
		if err := os.WriteFile(filepath.Join(dir, cell.ExperimentName), []byte(m.Experiment), 0o666); err != nil {
			return err
		}
	}
	return keptMemory.Save(m)
}
