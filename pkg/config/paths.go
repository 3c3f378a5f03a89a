package config

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
)

// paths are the settings that name files and folders of this machine.
func (c *Config) paths() map[string]*string {
	return map[string]*string{
		"ExperimentsDir": &c.ExperimentsDir, "TrainDegradedDir": &c.TrainDegradedDir, "TrainCleanDir": &c.TrainCleanDir,
		"ValDegradedDir": &c.ValDegradedDir, "ValCleanDir": &c.ValCleanDir, "VGGWeights": &c.VGGWeights, "InitialWeights": &c.InitialWeights,
	}
}

// WithPaths returns the configuration with its paths as [ExpandPath] makes them.
func (c Config) WithPaths() (Config, error) {
	var problems []error
	for key, path := range c.paths() {
		expanded, err := ExpandPath(*path)
		if err != nil {
			problems = append(problems, fmt.Errorf("config: %s is %q: %w", key, *path, err))
			continue
		}
		*path = expanded
	}
	return c, errors.Join(problems...)
}

// ExpandPath makes of a path what a shell makes of it: "~" and "~name" at its start
// are home folders, "$NAME" and "${NAME}" are variables, and "\$" is a dollar sign. A
// variable that is not set is an error: a shell takes nothing for it, and "$DATA/raw"
// becomes "/raw".
func ExpandPath(path string) (string, error) {
	if strings.HasPrefix(path, "~") {
		name, rest, _ := strings.Cut(path[1:], "/")
		home, err := homeOf(name)
		if err != nil {
			return "", err
		}
		if path = home; rest != "" {
			path = strings.TrimSuffix(home, "/") + "/" + rest
		}
	}
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 < len(path) && path[i+1] == '$':
			i++
			out.WriteByte('$')
		case path[i] == '$':
			name, length := variable(path[i+1:])
			if name == "" { // a dollar sign alone, as in a shell
				out.WriteByte('$')
				continue
			}
			value, set := os.LookupEnv(name)
			if !set || value == "" {
				return "", fmt.Errorf("the variable %s is not set; where a name has a dollar sign, write \\$", name)
			}
			out.WriteString(value)
			i += length
		default:
			out.WriteByte(path[i])
		}
	}
	return out.String(), nil
}

func homeOf(name string) (string, error) {
	if name != "" {
		u, err := user.Lookup(name)
		if err != nil {
			return "", fmt.Errorf("there is no user %q; for a folder whose name begins with ~, write ./~%s", name, name)
		}
		return u.HomeDir, nil
	}
	if home, err := os.UserHomeDir(); err == nil {
		return home, nil
	}
	u, err := user.Current() // in a container without HOME
	if err != nil || u.HomeDir == "" {
		return "", errors.New("the home folder is not known; set HOME, or write the path in full")
	}
	return u.HomeDir, nil
}

// variable reads "NAME" or "{NAME}" at the start of a text, and how long that is.
func variable(text string) (name string, length int) {
	if strings.HasPrefix(text, "{") {
		name, _, closed := strings.Cut(text[1:], "}")
		if _, whole := variable(name); !closed || whole != len(name) {
			return "", 0
		}
		return name, len(name) + 2
	}
	for length < len(text) {
		letter := text[length]
		if letter != '_' && (letter|0x20 < 'a' || letter|0x20 > 'z') && (length == 0 || letter < '0' || letter > '9') {
			break
		}
		length++
	}
	return text[:length], length
}
