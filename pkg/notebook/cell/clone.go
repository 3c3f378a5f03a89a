package cell

import (
	"os"
	"path/filepath"
	"strings"
)

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
