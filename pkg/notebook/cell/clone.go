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

// PinnedVersions returns the version of each module that a go.mod requires.
func PinnedVersions(goMod string) (map[string]string, error) {
	text, err := os.ReadFile(goMod)
	if err != nil {
		return nil, err
	}
	pinned := map[string]string{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(words) >= 2 && strings.HasPrefix(words[1], "v") {
			pinned[words[0]] = words[1]
		}
	}
	return pinned, nil
}
