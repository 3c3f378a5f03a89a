package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"rekindle/pkg/durable"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/setup"
	"rekindle/pkg/tree"
)

// frontFlag chooses what of Jupyter is started: "lab" or "notebook".
const frontFlag = "--front="

// labArguments splits "lab [NOTEBOOK] [ARGUMENT ...]" into what is for this program
// and what is for Jupyter: all from the first that begins with a dash and is no
// notebook.
func labArguments(args []string) (mine, forJupyter []string) {
	if i := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") && filepath.Ext(a) != ".ipynb" }); i > 0 {
		return args[:i], args[i:]
	}
	return args, nil
}

// frontEnd is what of Jupyter to start: what was asked for, else JupyterLab where it
// is installed, else Notebook.
func frontEnd(ctx context.Context, s *setup.Clone, asked string) (string, error) {
	has := func(front string) bool { return setup.Answers(ctx, s.Jupyter, front, "--version") }
	switch {
	case asked != "" && asked != "lab" && asked != "notebook":
		return "", fmt.Errorf("there is no front end %q; %slab and %snotebook are known", asked, frontFlag, frontFlag)
	case asked != "" && !has(asked):
		return "", fmt.Errorf("%s has no %q; to have JupyterLab and Notebook in this clone: make jupyter", s.Jupyter, asked)
	case asked != "":
		return asked, nil
	case has("lab"):
		return "lab", nil
	case has("notebook"):
		return "notebook", nil
	}
	return "", fmt.Errorf("%s can run notebooks but not show them; to have JupyterLab and Notebook in this clone: make jupyter", s.Jupyter)
}

// rootFlag matches what says to Jupyter in which folder notebooks lie.
var rootFlag = regexp.MustCompile(`^--(notebook-dir|[A-Za-z]+\.(root|notebook)_dir)\b`)

// lab opens Jupyter in the browser, says where the notebook is, and stays until
// Jupyter is stopped.
func lab(ctx context.Context, s *setup.Clone, notebook string, forJupyter []string) error {
	asked := ""
	forJupyter = slices.DeleteFunc(slices.Clone(forJupyter), func(a string) bool {
		if name, found := strings.CutPrefix(a, frontFlag); found {
			asked = name
			return true
		}
		return false
	})
	front, err := frontEnd(ctx, s, asked)
	if err != nil {
		return err
	}
	overrides, err := frontEndDefaults(s)
	if err != nil {
		return err
	}
	args := []string{front}
	if !slices.ContainsFunc(forJupyter, func(a string) bool { return rootFlag.MatchString(a) }) { // Jupyter takes one
		args = append(args, "--notebook-dir="+s.Dir)
	}
	if os.Geteuid() == 0 && !slices.Contains(forJupyter, "--allow-root") {
		args = append(args, "--allow-root")
	}
	args = append(args, forJupyter...)
	if notebook != "" {
		path, err := filepath.Abs(notebook) // a name may begin with a dash
		if err != nil {
			return err
		}
		args = append(args, path)
	}
	cmd := exec.Command(s.Jupyter, args...)
	cmd.Dir, cmd.Env = s.Dir, append(s.Environ(), "JUPYTER_CONFIG_PATH="+overrides)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	untilEnd, stop := context.WithCancel(context.Background())
	defer stop()
	beside := make(chan struct{})
	err = passSignals(ctx, cmd, func() {
		go func() {
			defer close(beside)
			besideLab(s, untilEnd, cmd.Process.Pid, front, notebook)
		}()
	})
	if stop(); cmd.Process != nil {
		<-beside
	}
	return err
}

// frontEndDefaults writes what JupyterLab and Notebook 7 do by themselves other than
// they would, and returns the path on which they look for it. They wait a second for
// completions; a kernel that is asked for the first time takes a few.
func frontEndDefaults(s *setup.Clone) (string, error) {
	dir := filepath.Join(s.Data(), "config")
	text := `{"@jupyterlab/completer-extension:manager": {"providerTimeout": 30000}}` + "\n"
	if err := os.MkdirAll(filepath.Join(dir, "labconfig"), 0o777); err != nil {
		return "", err
	}
	path := []string{dir}
	if old := os.Getenv("JUPYTER_CONFIG_PATH"); old != "" {
		path = append(path, old)
	}
	return strings.Join(path, ":"), durable.WriteFile(filepath.Join(dir, "labconfig", "default_setting_overrides.json"), []byte(text))
}

// besideLab says where the notebook is, as soon as the server says where it is
// itself, and then builds what is wanted but need not be waited for.
func besideLab(s *setup.Clone, ctx context.Context, pid int, front, notebook string) {
	server, ok := waitForServer(s, ctx, pid)
	if !ok {
		return
	}
	fmt.Print(server.directions(front, s.Dir, notebook))
	defer s.SettleUntil(ctx)
	err := s.UnlessFailed(ctx, "gopls", s.HasGopls, s.BuildGopls)
	if err != nil && ctx.Err() == nil {
		fmt.Printf("💡 Completion and help in cells need gopls, which could not be built; see %s. To try again: make gopls\n", s.Relative(s.Log()))
	}
}

// server is what a Jupyter server writes about itself.
type server struct {
	URL   string
	Port  int
	Token string // "" where there is a password
	Root  string `json:"root_dir"` // the folder that it shows
	PID   int
}

// waitForServer waits until a program's server has said where it is. Files of others,
// which may be gone, lie in the same folder.
func waitForServer(s *setup.Clone, ctx context.Context, pid int) (found server, ok bool) {
	ask := exec.CommandContext(ctx, s.Jupyter, "--runtime-dir")
	ask.Env = s.Environ()
	runtime, err := ask.Output()
	if err != nil {
		return server{}, false
	}
	for {
		select {
		case <-ctx.Done():
			return server{}, false
		case <-time.After(200 * time.Millisecond):
		}
		for _, file := range tree.Glob(strings.TrimSpace(string(runtime)), "*server-*.json") { // jpserver, and nbserver of Notebook 6
			raw, err := os.ReadFile(file)
			if err != nil || json.Unmarshal(raw, &found) != nil || found.PID != pid {
				continue
			}
			time.Sleep(time.Second) // what the server says itself comes first
			return found, ctx.Err() == nil
		}
	}
}

// directions is where the notebook is, for this machine and for another one.
func (s server) directions(front, clone, notebook string) string {
	address, err := url.Parse(s.URL)
	if err != nil {
		return ""
	}
	what, path := "Jupyter", map[string]string{"lab": "lab", "notebook": "tree"}[front]
	if file := notebook; file != "" {
		if !filepath.IsAbs(file) {
			file = filepath.Join(clone, file)
		}
		root := s.Root
		if root == "" { // Notebook 6
			root = clone
		}
		if shown := cell.Relative(root, file); !filepath.IsAbs(shown) { // else it is not in the folder that was asked for
			what, path = notebook, map[string]string{"lab": "lab/tree/", "notebook": "notebooks/"}[front]+filepath.ToSlash(shown)
		}
	}
	address = address.JoinPath(path)
	address.Host = fmt.Sprintf("localhost:%d", s.Port)
	if s.Token != "" {
		address.RawQuery = url.Values{"token": {s.Token}}.Encode()
	}
	return fmt.Sprintf(`
📓 %s is at
      %s
   If this is another machine than the one with the browser, call this there first, and then open the same address:
      ssh -N -L %d:localhost:%d %s
   Ctrl+C here ends Jupyter; training that runs saves its state.

`, what, address, s.Port, s.Port, here())
}

// here is how ssh reaches this machine: as somebody did who is logged in by it, else
// by the machine's name.
func here() string {
	name, port := "", ""
	if words := strings.Fields(os.Getenv("SSH_CONNECTION")); len(words) == 4 {
		name = words[2]
		if words[3] != "22" {
			port = "-p " + words[3] + " "
		}
	} else if host, err := os.Hostname(); err == nil {
		name = host
	}
	if u, err := user.Current(); err == nil {
		name = u.Username + "@" + name
	}
	return port + name
}
