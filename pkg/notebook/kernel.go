package notebook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rekindle/pkg/durable"
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

// inProcess is the memory of programs that are not cells.
var inProcess memory

// memoryPath is in GoNB's folder for this kernel, which goes with the kernel.
func memoryPath() string {
	if dir := os.Getenv("GONB_TMP_DIR"); dir != "" {
		return filepath.Join(dir, "rekindle.json")
	}
	return ""
}

func recall() (memory, error) {
	path := memoryPath()
	if path == "" {
		return inProcess, nil
	}
	var m memory
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		return m, fmt.Errorf("what this kernel remembers cannot be read (%w); restart the kernel", err)
	}
	return m, nil
}

func remember(m memory) error {
	if dir := os.Getenv(RunDirVariable); dir != "" && m.Experiment != "" {
		if err := os.WriteFile(filepath.Join(dir, ExperimentName), []byte(m.Experiment), 0o666); err != nil {
			return err
		}
	}
	path := memoryPath()
	if path == "" {
		inProcess = m
		return nil
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return durable.WriteFile(path, raw)
}

// module is the first line of the go.mod at the top of a clone.
const module = "module rekindle"

// root returns the clone that dir lies in, "" if it lies in none.
func root(dir string) string {
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		first, _, _ := strings.Cut(string(text), "\n")
		if err == nil && strings.TrimRight(first, " \t\r") == module { // \r: a clone made on Windows
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// EnterClone makes the top of the clone the working folder. A notebook outside
// of any clone works in its own folder.
func EnterClone() error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	if top := root(dir); top != "" {
		return os.Chdir(top)
	}
	return nil
}
