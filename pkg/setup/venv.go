package setup

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// interpreter matches the Python of a script's first lines: "#!/clone/.venv/bin/python3",
// or, where that is too long for the system, "#!/bin/sh" and then ”'exec' "/clone/.venv/bin/python3".
var interpreter = regexp.MustCompile(`^#!(?:/bin/sh\n'''exec' "?)?((?:/[^/\n"]+)*/bin/python[\w.]*)`)

// longest is how long the path of an interpreter may be for pip to write it plainly:
// systems cut the line at 127 letters.
const longest = 120

// ofAVenv matches a Python of the folder that a clone keeps its own in.
var ofAVenv = regexp.MustCompile(`/\.venv/bin/python[\w.]*$`)

// repairVenv makes the clone's .venv usable again after the clone was moved or
// copied: pip writes the folder's old place into every program it installs. Links
// to a Python that is gone are removed, so that a new one can take their place.
func (s *Clone) repairVenv() error {
	bin := filepath.Join(s.venv(), "bin")
	entries, err := os.ReadDir(bin)
	if err != nil {
		return nil // there is none
	}
	mended := 0
	for _, e := range entries {
		path := filepath.Join(bin, e.Name())
		if e.Type()&os.ModeSymlink != 0 {
			if _, err := os.Stat(path); err != nil && strings.HasPrefix(e.Name(), "python") {
				if err := os.Remove(path); err != nil {
					return err
				}
			}
			continue
		}
		was := interpreterOf(path)
		own := filepath.Join(bin, filepath.Base(was))
		if was == "" || was == own || !ofAVenv.MatchString(was) || !e.Type().IsRegular() {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		head := "#!" + own + "\n"
		if len(own) > longest || strings.ContainsAny(own, " \t") {
			head = "#!/bin/sh\n'''exec' \"" + own + "\" \"$0\" \"$@\"\n' '''\n"
		}
		_, rest, _ := bytes.Cut(text, []byte("\n"))
		if bytes.HasPrefix(text, []byte("#!/bin/sh\n")) { // three lines
			_, rest, _ = bytes.Cut(rest, []byte("\n"))
			_, rest, _ = bytes.Cut(rest, []byte("\n"))
		}
		if err := os.WriteFile(path, append([]byte(head), rest...), info.Mode()); err != nil {
			return err
		}
		mended++
	}
	if mended > 0 {
		fmt.Printf("🔧 %s was moved here: its %d programs are mended\n", s.venv(), mended)
	}
	return nil
}

// interpreterOf returns the Python that a script names, "" if it names none.
func interpreterOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, _ := f.Read(head) // what cannot be read names none
	if found := interpreter.FindSubmatch(head[:n]); found != nil {
		return string(found[1])
	}
	return ""
}

// knownJupyter is what findJupyter found last, "" where something has changed
// since: the Python that runs it was upgraded or removed, or it lies in a clone
// that this one was copied from.
func (s *Clone) knownJupyter() string {
	raw, err := os.ReadFile(filepath.Join(s.Data(), "program"))
	path, print, _ := strings.Cut(strings.TrimSpace(string(raw)), "\n")
	own := strings.HasPrefix(path, s.venv()+string(filepath.Separator))
	if err != nil || !isProgram(path) || print != fingerprint(path) || !own && strings.Contains(path, "/.venv/bin/") {
		return ""
	}
	return path
}

// fingerprint changes with the Python that runs a program.
func fingerprint(program string) string {
	python := interpreterOf(program)
	if python == "" {
		python = program
	}
	if end, err := filepath.EvalSymlinks(python); err == nil {
		python = end
	}
	info, err := os.Stat(python)
	if err != nil {
		return "gone: " + python
	}
	return fmt.Sprintf("%s %d %d", python, info.Size(), info.ModTime().UnixNano())
}
