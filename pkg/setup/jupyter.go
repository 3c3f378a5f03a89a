package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Debian's packages, of the classic Notebook 6, and pip's: the package "notebook"
// brings JupyterLab 4 and Notebook 7.
var (
	debianPackages = []string{"jupyter-notebook", "jupyter-nbconvert", "python3-nbclient"}
	pipPackages    = []string{"notebook==7.6.5", "jupyterlab==4.6.6", "nbconvert==7.17.2", "nbclient==0.11.0", "papermill==2.7.0"}

	// What cells are built with where they use XLA.
	compilerPackages = []string{"gcc", "libc6-dev"}
)

// findJupyter finds a Jupyter that can run notebooks, or installs one.
func (s *Clone) findJupyter(ctx context.Context) error {
	// Asking Python takes half a second, so the answer is kept.
	if s.Jupyter = s.knownJupyter(); s.Jupyter != "" {
		return nil
	}
	if err := s.repairVenv(); err != nil {
		return fmt.Errorf("%s was made elsewhere and cannot be mended (%w); remove it and try again", s.venv(), err)
	}
	if s.Jupyter = s.workingJupyter(ctx); s.Jupyter == "" {
		if ctx.Err() != nil { // it may have been asked just now
			return ctx.Err()
		}
		if err := s.installJupyter(ctx); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(s.Data(), "program"), []byte(s.Jupyter+"\n"+fingerprint(s.Jupyter)), 0o666)
}

// workingJupyter returns the first Jupyter that has nbconvert. A version
// manager's shim may be on the PATH in front of one that works.
func (s *Clone) workingJupyter(ctx context.Context) string {
	candidates := []string{filepath.Join(s.venv(), "bin", "jupyter")}
	dirs := append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/bin", "/usr/bin")
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, ".local", "bin"))
	}
	for _, dir := range dirs {
		candidates = append(candidates, filepath.Join(dir, "jupyter"))
	}
	for _, path := range candidates {
		if isProgram(path) && Answers(ctx, path, "nbconvert", "--version") {
			return path
		}
	}
	return ""
}

// patience is how long a program of Python's may take to say its version, from a slow
// disk for the first time.
var patience = time.Minute

// Answers reports whether a program does what it is asked, and not never.
func Answers(ctx context.Context, path string, args ...string) bool {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := exec.CommandContext(limited, path, args...).Run()
	if limited.Err() != nil && ctx.Err() == nil {
		fmt.Printf("⚠️  %s did not answer within %s and is passed over\n", path, patience)
	}
	return err == nil
}

func (s *Clone) venv() string { return filepath.Join(s.Dir, ".venv") }

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}

// installJupyter tries pip in a folder of this clone, which brings what most people
// have today, then Debian's packages where no question would be asked.
func (s *Clone) installJupyter(ctx context.Context) error {
	var problems []string
	if err := s.installWithPip(ctx); err != nil {
		problems = append(problems, err.Error())
	} else if s.Jupyter = s.workingJupyter(ctx); s.Jupyter != "" {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	packages, what := debianPackages, "Jupyter"
	if s.wantsXLA() && !s.hasCompiler() {
		packages, what = append(slices.Clone(packages), compilerPackages...), "Jupyter and a C compiler"
	}
	if err := s.installWithApt(ctx, what, packages); err != nil {
		problems = append(problems, err.Error())
	} else if s.Jupyter = s.workingJupyter(ctx); s.Jupyter != "" {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, name := range []string{"PYTHONHOME", "PYTHONPATH"} {
		if value := os.Getenv(name); value != "" {
			problems = append(problems, fmt.Sprintf("%s is set, to %s, where another Python may keep what this one cannot use; to try without it: unset %s", name, value, name))
		}
	}
	return fmt.Errorf("no Jupyter was found, and it could not be installed here; install it with \"pip install notebook\" or \"apt-get install %s\" and try again\n   %s",
		strings.Join(debianPackages, " "), strings.Join(problems, "\n   "))
}

// installWithApt installs Debian's packages where nobody would be asked for a password.
// apt-get is never killed: it ends by itself when it is interrupted, but not while
// packages are unpacked, which would leave them broken for the whole machine.
func (s *Clone) installWithApt(ctx context.Context, what string, packages []string) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("apt-get: not on this machine")
	}
	var sudo []string
	if os.Geteuid() != 0 {
		if exec.Command("sudo", "-n", "true").Run() != nil {
			return fmt.Errorf("apt-get: needs root, and sudo would ask for a password")
		}
		sudo = []string{"sudo", "-n"}
	}
	fmt.Printf("📥 Installing %s with apt-get: %s\n", what, strings.Join(packages, " "))
	apt := func(args ...string) error {
		line := append(append([]string{}, sudo...), append([]string{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120"}, args...)...)
		return s.logged(ctx, 0, nil, line[0], line[1:]...)
	}
	if err := apt("update"); err != nil {
		fmt.Println("   apt-get update failed; trying with the package lists that are there")
	}
	return apt(append([]string{"install", "--no-install-recommends"}, packages...)...)
}

// installWithPip makes the clone's .venv with Jupyter in it, or leaves none.
func (s *Clone) installWithPip(ctx context.Context) error {
	python, err := exec.LookPath("python3")
	if err != nil {
		return fmt.Errorf("pip: there is no python3")
	}
	fmt.Printf("📥 Installing JupyterLab and Notebook with pip into %s\n", s.Relative(s.venv()))
	_, there := os.Stat(s.venv())
	err = s.Logged(ctx, nil, python, "-m", "venv", s.venv())
	if err == nil {
		// Not its program pip: where the folder was there before, that may be of a Python that is gone. For the same
		// reason what looks installed is installed again.
		pip := []string{"-m", "pip", "install", "--quiet", "--force-reinstall"}
		err = s.Logged(ctx, nil, filepath.Join(s.venv(), "bin", "python"), append(pip, pipPackages...)...)
	}
	if err != nil && there != nil {
		_ = os.RemoveAll(s.venv())
	}
	return err
}

// OwnJupyter installs Jupyter into the clone's .venv, where another one was found and
// is used until now.
func (s *Clone) OwnJupyter(ctx context.Context) error {
	for _, dir := range []string{s.bin(), s.Data()} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	// Before: what is installed halfway must be looked at again.
	if err := os.Remove(filepath.Join(s.Data(), "program")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.installWithPip(ctx); err != nil {
		return err
	}
	return s.All(ctx)
}
