package setup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"rekindle/pkg/durable"
)

// A front end that was not started from here, such as VS Code, a Jupyter of the
// user's own, papermill or nbclient, looks for kernels in the user's Jupyter
// folder. What lies there is a script that starts the kernel of the clone in which
// the notebook lies, so that two clones never use each other's, and for a notebook
// elsewhere that of one clone, its home.

// kernelName is what the notebooks call their kernel.
const kernelName = "gonb"

// startName is the script, in the user's folder and in each clone.
const startName = "start"

// homeLine begins the line of the user's script that names its home.
const homeLine = "home="

// userKernel is the folder of the user's kernel.
func userKernel() (string, error) {
	data := os.Getenv("JUPYTER_DATA_DIR")
	if data == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		switch {
		case runtime.GOOS == "darwin":
			data = filepath.Join(home, "Library", "Jupyter")
		case os.Getenv("XDG_DATA_HOME") != "":
			data = filepath.Join(os.Getenv("XDG_DATA_HOME"), "jupyter")
		default:
			data = filepath.Join(home, ".local", "share", "jupyter")
		}
	}
	return filepath.Join(data, "kernels", kernelName), nil
}

// quoted is a word for the shell.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// kernelStart is the script that starts this clone's kernel, from wherever the clone
// is: what the clone's specification of it says.
func kernelStart(argv []string, env map[string]any) string {
	var b strings.Builder
	b.WriteString("#!/bin/sh\n# Starts the kernel of this clone; \"make setup\" writes it.\nclone=$(cd \"$(dirname \"$0\")/../..\" && pwd) || exit 1\n")
	for _, name := range slices.Sorted(maps.Keys(env)) {
		value := fmt.Sprint(env[name])
		if name == "PATH" {
			var dirs []string
			for _, dir := range strings.Split(value, ":")[1:] { // the first is the clone's own
				if dir == "${PATH}" {
					dirs = append(dirs, `"$PATH"`)
				} else {
					dirs = append(dirs, quoted(dir))
				}
			}
			fmt.Fprintf(&b, "export PATH=\"$clone/build/bin\":%s\n", strings.Join(dirs, ":"))
			continue
		}
		fmt.Fprintf(&b, "export %s=%s\n", name, quoted(value))
	}
	b.WriteString("(cd \"$clone\" && exec build/bin/launch settle $$) </dev/null >/dev/null 2>&1 &\n")
	b.WriteString(`exec "$clone/build/bin/gonb"`)
	for _, arg := range argv[min(1, len(argv)):] {
		switch {
		case arg == "{connection_file}":
			b.WriteString(` "$1"`)
		case strings.HasPrefix(arg, "-go_work="):
			b.WriteString(` "-go_work=${REKINDLE_CLONE:-$clone}"`)
		default:
			b.WriteString(" " + quoted(arg))
		}
	}
	b.WriteString("\n")
	return b.String()
}

// userStart is the script in the user's folder.
func userStart(home string) string {
	return `#!/bin/sh
# Starts the kernel of the clone of Rekindle in which this folder lies, else that of
# its home. "make kernel" in a clone writes this and makes it the home, "make
# unkernel" takes it away.
` + homeLine + quoted(home) + `
dir=$PWD
REKINDLE_CLONE=
while [ "$dir" != / ]; do
	if [ "$(head -n 1 "$dir/go.mod" 2>/dev/null)" = "module rekindle" ] && [ -d "$dir/pkg/cmd/launch" ]; then
		export REKINDLE_CLONE="$dir"
		break
	fi
	dir=$(dirname "$dir")
done
for clone in "$REKINDLE_CLONE" "$home"; do
	if [ -n "$clone" ] && [ -x "$clone/build/jupyter/` + startName + `" ] && [ -x "$clone/build/bin/gonb" ]; then
		exec "$clone/build/jupyter/` + startName + `" "$1"
	fi
done
echo "❌ The kernel of Rekindle lay in $home and is no longer there; call \"make kernel\" in your clone" >&2
exit 1
`
}

// installUserKernel puts the kernel where every front end finds it. Unless insist,
// it leaves what is there alone: the kernel of another clone that still exists, and
// a GoNB that is not ours.
func (s *Clone) installUserKernel(insist bool) error {
	dir, err := userKernel()
	if err != nil {
		return err
	}
	declined := filepath.Join(s.Data(), "no-kernel")
	if insist {
		_ = os.Remove(declined)
	} else if _, err := os.Stat(declined); err == nil {
		return nil
	}
	raw, err := os.ReadFile(s.kernelSpec())
	if err != nil {
		return err
	}
	var spec map[string]any
	if err := json.Unmarshal(raw, &spec); err != nil {
		return err
	}
	script := filepath.Join(dir, startName)
	spec["argv"], spec["env"] = []string{script, "{connection_file}"}, map[string]any{}
	if raw, err = json.MarshalIndent(spec, "", "  "); err != nil {
		return err
	}
	raw = append(raw, '\n')
	home, mine, err := ownerOf(dir)
	if err != nil {
		return err
	}
	if !mine {
		if !insist {
			if s.Insist {
				fmt.Printf("💡 %s is a GoNB of your own, and stays; other front ends than that of \"make lab\" use it. To have Rekindle's there: make kernel\n", dir)
			}
			return nil
		}
		if err := putAside(dir); err != nil {
			return err
		}
	}
	// Another clone that still exists stays the home; this one's notebooks get this one's kernel all the same.
	if _, err := os.Stat(filepath.Join(home, "pkg", "cmd", "launch")); insist || !mine || home == "" || err != nil {
		home = s.Dir
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	changed := false
	for _, file := range []struct {
		path string
		text []byte
	}{{script, []byte(userStart(home))}, {filepath.Join(dir, "kernel.json"), raw}} {
		if old, err := os.ReadFile(file.path); err == nil && bytes.Equal(old, file.text) {
			continue
		}
		changed = true
		if err := durable.WriteFile(file.path, file.text); err != nil {
			return err
		}
	}
	if logo, err := os.ReadFile(filepath.Join(filepath.Dir(s.kernelSpec()), "logo-svg.svg")); err == nil {
		_ = os.WriteFile(filepath.Join(dir, "logo-svg.svg"), logo, 0o666) // a front end without it shows a letter
	}
	if err := os.Chmod(script, 0o755); err != nil && !isProgram(script) { // of another user, in a folder that is shared
		return err
	}
	if insist || changed {
		fmt.Printf("🔧 The kernel %q is in %s, where every front end finds it\n", kernelName, dir)
	}
	return nil
}

// ownerOf says whose kernel lies in a folder: the home of one of ours, or the
// program of another; "" where there is none.
func ownerOf(dir string) (home string, mine bool, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, "kernel.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", true, nil
	}
	if err != nil {
		return "", false, err
	}
	script, err := os.ReadFile(filepath.Join(dir, startName))
	if err == nil {
		for line := range strings.Lines(string(script)) {
			if rest, found := strings.CutPrefix(line, homeLine); found {
				return strings.ReplaceAll(strings.Trim(strings.TrimSpace(rest), "'"), `'\''`, "'"), true, nil
			}
		}
	}
	var spec struct{ Argv []string }
	_ = json.Unmarshal(raw, &spec)
	return firstOf(append(spec.Argv, dir)), false, nil
}

// before is the folder, in that of our kernel, of the one that was there before.
const before = "before"

func putAside(dir string) error {
	aside := dir + ".rekindle"
	if err := os.Rename(dir, aside); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	fmt.Printf("   The GoNB that was there is kept; \"make unkernel\" puts it back\n")
	return os.Rename(aside, filepath.Join(dir, before))
}

// RemoveUserKernel takes our kernel out of the user's folder, and remembers that it
// was not wanted.
func (s *Clone) RemoveUserKernel() error {
	dir, err := userKernel()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.Data(), 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.Data(), "no-kernel"), nil, 0o666); err != nil {
		return err
	}
	home, mine, err := ownerOf(dir)
	switch {
	case err != nil:
		return err
	case home == "":
		fmt.Printf("There is no kernel %q in %s\n", kernelName, filepath.Dir(dir))
		return nil
	case !mine:
		fmt.Printf("%s is a GoNB of your own, and stays\n", dir)
		return nil
	}
	aside := dir + ".rekindle"
	if err := os.Rename(filepath.Join(dir, before), aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if os.Rename(aside, dir) == nil {
		fmt.Printf("🗑️  %s is the GoNB again that was there before\n", dir)
		return nil
	}
	fmt.Printf("🗑️  The kernel is no longer in %s; \"make lab\" and \"make run\" use the one in this clone\n", dir)
	return nil
}
