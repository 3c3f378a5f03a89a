// Package setup gets a clone ready for its notebooks: it finds or installs Jupyter,
// builds GoNB and what formats and completes Go, installs XLA and the kernel, and tells
// git what of a notebook it is to see.
//
// All of it lies in the clone, under build/ and .venv/, but for XLA's plugin, which lies
// where go-xla finds it, ~/.local/lib/go-xla, and the user's kernel, a script of a few
// lines. Jupyter and the C compiler may come from apt-get, where that works without a
// question. What is there already is not touched, so a second call costs nothing.
package setup

import (
	"bytes"
	"cmp"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"rekindle/pkg/durable"
	"rekindle/pkg/machine"
	"rekindle/pkg/notebook/cell"
)

// Clone is a clone of Rekindle, and what it needs to run notebooks.
type Clone struct {
	Dir     string
	Jupyter string // the program, once All has found it
	Insist  bool   // to try again what has failed lately
	Claim   bool   // to take the user's kernel over from others
}

func (s *Clone) bin() string  { return filepath.Join(s.Dir, "build", "bin") }
func (s *Clone) Data() string { return filepath.Join(s.Dir, "build", "jupyter") }
func (s *Clone) Log() string  { return filepath.Join(s.Dir, "build", "setup.log") }

// All makes whatever is missing, until ctx ends; the next call goes on. Several
// programs may be started at once, as jobs of a scheduler are: one of them works and
// the others wait.
func (s *Clone) All(ctx context.Context) error {
	if err := checkTemp(); err != nil {
		return err
	}
	if strings.Contains(s.Dir, ":") {
		return fmt.Errorf("%s has a colon in its path, which ends a folder in PATH, so cells would not find their programs; move this clone and try again", s.Dir)
	}
	build := filepath.Join(s.Dir, "build")
	err := cmp.Or(os.MkdirAll(s.bin(), 0o777), os.MkdirAll(s.Data(), 0o777))
	var unlock func()
	if err == nil {
		unlock, err = durable.LockFile(ctx, filepath.Join(build, "setup.lock"), func() {
			fmt.Printf("⏳ Another process sets up %s; waiting for it\n", s.Dir)
		})
	}
	if durable.MayOnlyRead(err) {
		return fmt.Errorf("set-up and runs write into %s, where you may not (%w); make a clone of your own: git clone %s", build, err, s.Dir)
	}
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.findJupyter(ctx); err != nil {
		return err
	}
	// GoNB runs goimports on every cell. Both are pinned by tool lines in go.mod.
	for _, tool := range []struct{ name, pkg, module string }{
		{"gonb", gonbModule, gonbModule},
		{"goimports", "golang.org/x/tools/cmd/goimports", "golang.org/x/tools"},
	} {
		if err := s.buildTool(ctx, tool.name, tool.pkg, tool.module); err != nil {
			return err
		}
	}
	// The kernel's environment depends on what is there.
	if err := s.installXLA(ctx); err != nil {
		return err
	}
	if err := s.installKernel(ctx); err != nil {
		return err
	}
	if err := s.installUserKernel(s.Claim); err != nil { // a home that cannot be written is no reason to stop
		fmt.Printf("💡 The kernel is known to \"make lab\" and \"make run\" alone: %v\n", err)
	}
	if err := s.installTranslator(); err != nil {
		return err
	}
	if err := s.installFilter(); err != nil {
		return err
	}
	s.settle(settled{})
	return nil
}

// buildTool builds a program in the version that go.mod pins, unless it is there.
func (s *Clone) buildTool(ctx context.Context, name, pkg, module string) error {
	path := filepath.Join(s.bin(), name)
	pinned, err := cell.PinnedVersions(filepath.Join(s.Dir, "go.mod"))
	if err != nil {
		return err
	}
	want := pinned[module]
	info, err := buildinfo.ReadFile(path)
	if err == nil && info.Main.Version == want && (pkg != gonbModule || corrected(info)) {
		return nil
	}
	fmt.Printf("🔧 Building %s %s\n", name, want)
	scratch, remove, err := durable.Scratch(filepath.Join(s.Dir, "build"), name)
	if err != nil {
		return err
	}
	defer remove()
	var corrections []string
	if pkg == gonbModule {
		mod, err := s.correctedSource(ctx)
		if err != nil {
			return err
		}
		corrections = []string{"-modfile=" + mod, "-tags=" + correctionsTag()}
	}
	// It gets its name when it is whole: "go build" copies where TMPDIR is another disk.
	built := filepath.Join(scratch, name)
	if err := s.Logged(ctx, nil, "go", slices.Concat([]string{"build", "-o", built}, corrections, []string{pkg})...); err != nil {
		return err
	}
	return os.Rename(built, path)
}

// installKernel writes the kernel's specification for this clone, unless it is
// there. It lies in the clone, so it does not meet a GoNB of the user's own.
func (s *Clone) installKernel(ctx context.Context) error {
	gonb := filepath.Join(s.bin(), "gonb")
	var spec struct{ Argv []string }
	raw, err := os.ReadFile(s.kernelSpec())
	if err != nil || json.Unmarshal(raw, &spec) != nil || len(spec.Argv) == 0 || !sameProgram(spec.Argv[0], gonb) || !slices.Contains(spec.Argv, "-go_work="+s.Dir) {
		fmt.Println("🔧 Installing the Go kernel for Jupyter")
		// Without --raw_error a cell that does not compile shows only that it failed;
		// --force_deps because gopls, which completes code, is not needed to run it.
		if err := s.Logged(ctx, []string{"JUPYTER_DATA_DIR=" + s.Data()}, gonb, "--install", "--force_deps", "--raw_error", "--go_work="+s.Dir); err != nil {
			return err
		}
	}
	return s.equipKernel()
}

func (s *Clone) kernelSpec() string {
	return filepath.Join(s.Data(), "kernels", "gonb", "kernel.json")
}

// kernelVariables are what of this program's environment a kernel needs, if it is set:
// how cells are built, and where the modules and what was built before lie.
var kernelVariables = []string{"GOEXPERIMENT", "GOFLAGS", "GOWORK", "GO111MODULE", "CGO_ENABLED", "GOPATH", "GOMODCACHE", "GOCACHE", "GOPROXY", "GOTOOLCHAIN"}

// equipKernel writes into the kernel's specification the environment that it
// needs, so that a front end which was not started from here, such as VS Code,
// can start it too.
func (s *Clone) equipKernel() error {
	raw, err := os.ReadFile(s.kernelSpec())
	if err != nil {
		return err
	}
	var spec map[string]any
	if err := json.Unmarshal(raw, &spec); err != nil {
		return fmt.Errorf("%s is no kernel's specification (%w); delete it and try again", s.kernelSpec(), err)
	}
	// Jupyter puts the front end's PATH in the place of ${PATH}; what does not
	// know that finds the shell and the usual programs behind it.
	env := map[string]any{"PATH": strings.Join(append(s.tools(), "${PATH}", "/usr/local/bin", "/usr/bin", "/bin"), ":")}
	for _, line := range s.Environ() { // the last one of a name counts
		if name, value, _ := strings.Cut(line, "="); slices.Contains(kernelVariables, name) {
			env[name] = value
		}
	}
	if machine.XLAMayRun() && machine.Engine("auto", s.hasCompiler()) == "xla:cpu" {
		env[tunables] = tuned(os.Getenv(tunables))
	}
	var argv []string
	list, _ := spec["argv"].([]any)
	for _, arg := range list {
		argv = append(argv, fmt.Sprint(arg))
	}
	if err := writeProgram(filepath.Join(s.Data(), startName), kernelStart(argv, env)); err != nil {
		return err
	}
	if old, _ := spec["env"].(map[string]any); maps.Equal(old, env) {
		return nil
	}
	spec["env"] = env
	if raw, err = json.MarshalIndent(spec, "", "  "); err != nil {
		return err
	}
	return durable.WriteFile(s.kernelSpec(), append(raw, '\n'))
}

// writeProgram writes a script, unless it is there.
func writeProgram(path, text string) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == text && isProgram(path) {
		return nil
	}
	if err := durable.WriteFile(path, []byte(text)); err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}

// sameProgram reports whether two paths hold the same program. GoNB installs a
// copy of itself where the clone lies under /tmp.
func sameProgram(a, b string) bool {
	if a == b {
		return true
	}
	first, err := os.ReadFile(a)
	if err != nil {
		return false
	}
	second, err := os.ReadFile(b)
	return err == nil && bytes.Equal(first, second)
}

// tools are the folders of GoNB, goimports and go.
func (s *Clone) tools() []string {
	dirs := []string{s.bin()}
	if gotool, err := exec.LookPath("go"); err == nil {
		dirs = append(dirs, filepath.Dir(gotool))
	}
	return dirs
}

// Environ is the environment of notebooks: the tools and the kernel of this
// clone, and vector instructions for the engine in pure Go.
func (s *Clone) Environ() []string {
	jupyterPath := []string{s.Data()}
	if old := os.Getenv("JUPYTER_PATH"); old != "" {
		jupyterPath = append(jupyterPath, old)
	}
	env := append(os.Environ(),
		"PATH="+strings.Join(append(s.tools(), os.Getenv("PATH")), ":"),
		"JUPYTER_PATH="+strings.Join(jupyterPath, ":"),
		"GOEXPERIMENT="+withExperiment(os.Getenv("GOEXPERIMENT"), "simd"),
		"GOWORK=auto", // the kernel writes one for its cells
		"GO111MODULE=on",
	)
	// Cells that compute are linked in half the time without XLA, and only so where CC names no compiler.
	if _, set := os.LookupEnv("CGO_ENABLED"); !set && !(machine.XLAMayRun() && s.hasCompiler()) {
		env = append(env, "CGO_ENABLED=0")
	}
	// -mod=mod is refused in a workspace, which is how cells see this module.
	if flags := os.Getenv("GOFLAGS"); strings.Contains(flags, "-mod=") {
		kept := slices.DeleteFunc(strings.Fields(flags), func(f string) bool { return strings.HasPrefix(f, "-mod=") })
		env = append(env, "GOFLAGS="+strings.Join(kept, " "))
	}
	return env
}

// tunables is the variable with settings of glibc's malloc. XLA on the CPU takes
// its scratch memory anew for each execution, and pays for every page of it; huge
// pages are fewer (docs/engines.md). Other C libraries, and a glibc that does not
// know the setting, ignore it.
const (
	tunables  = "GLIBC_TUNABLES"
	hugePages = "glibc.malloc.hugetlb"
)

// tuned adds huge pages to what the user has set, unless that is about them.
func tuned(set string) string {
	switch {
	case strings.Contains(set, hugePages+"="):
		return set
	case set == "":
		return hugePages + "=1"
	}
	return set + ":" + hugePages + "=1"
}

func withExperiment(list, name string) string {
	if list == "" {
		return name
	}
	if slices.Contains(strings.Split(list, ","), name) {
		return list
	}
	return list + "," + name
}

// Logged runs a program with its output in build/setup.log, and shows the end of that
// when it fails. When ctx ends, the program is interrupted with all that it has
// started, and killed if that does not end it soon.
func (s *Clone) Logged(ctx context.Context, env []string, name string, args ...string) error {
	return s.logged(ctx, time.Second, env, name, args...)
}

// logged is Logged for a program that is killed so long after its interruption, or,
// with 0, never.
func (s *Clone) logged(ctx context.Context, kill time.Duration, env []string, name string, args ...string) error {
	log, err := os.OpenFile(s.Log(), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o666)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintf(log, "$ %s %s\n", name, strings.Join(args, " "))
	begin, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = s.Dir
	cmd.Env = append(append(s.Environ(), "GOWORK=off"), env...) // one above the clone is about other modules
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signal := func(sig syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, sig) }
	cmd.Cancel = func() error { return signal(syscall.SIGINT) }
	if kill > 0 {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
		cmd.Cancel = func() error {
			time.AfterFunc(kill, func() { _ = signal(syscall.SIGKILL) }) // what it has started may live on
			return signal(syscall.SIGINT)
		}
	}
	cmd.Stdout, cmd.Stderr = log, log // no pipe: what outlives this program can go on writing
	err = cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		said, _ := io.ReadAll(io.NewSectionReader(log, begin, 1<<20))
		return fmt.Errorf("%s %s failed (%v), see %s:\n%s", filepath.Base(name), firstOf(args), err, s.Log(), LastLines(string(said), 12))
	}
	return nil
}

func firstOf(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// LastLines returns the last n lines of a text, indented.
func LastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	lines = lines[max(0, len(lines)-n):]
	return "   " + strings.Join(lines, "\n   ")
}

// Relative shows a path as seen from the clone, where it lies in it.
func (s *Clone) Relative(path string) string { return cell.Relative(s.Dir, path) }
