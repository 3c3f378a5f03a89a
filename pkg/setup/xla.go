package setup

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"rekindle/pkg/durable"
	"rekindle/pkg/machine"
	"rekindle/pkg/tree"
)

// notAgain is for how long a download that failed is not tried again, unless
// somebody asks for it with "make setup".
const notAgain = 24 * time.Hour

// wheel is a file of PyPI, known to the last bit.
type wheel struct {
	name, version string
	sha256        string
	megabytes     int
	plugin        string // what of it is XLA's plugin
}

// XLA's plugin for the CPU; docs/engines.md says why it is this one.
var cpuWheel = wheel{
	name: "lammps-jax-pjrt-cpu", version: "0.11.2",
	sha256:    "1319390d948b39f69f7dade496b7c385149d9ca6097a6b62114da113216d9ad1",
	megabytes: 63,
	plugin:    "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
}

// cpuPlugin is the name by which go-xla finds it.
const cpuPlugin = "pjrt_c_api_cpu_plugin.so"

// lack is why XLA cannot be had here, and the command that mends it.
type lack struct{ what, command string }

func (l lack) Error() string { return l.what }

// installXLA installs the C compiler that cells with XLA are built with, and
// XLA's plugins that this machine can use, as far as they are not there. Where
// that does not work, one line says why, and the Go engine computes: the only
// error is an interruption.
func (s *Clone) installXLA(ctx context.Context) error {
	if !s.wantsXLA() {
		return nil
	}
	type part struct {
		name, gain string
		there      func() bool
		install    func(context.Context) error
	}
	const faster = "XLA computes three to four times as fast as the Go engine"
	plugin := func(kind string) func() bool { return func() bool { return has(kind) } }
	parts := []part{{"compiler", faster, s.hasCompiler, s.installCompiler}, {"cpu", faster, plugin("cpu"), s.installCPU}}
	if machine.HasGPU() && runtime.GOARCH == "amd64" {
		parts = append(parts, part{"cuda", "XLA computes on the GPU", plugin("cuda"), s.installCUDA})
	}
	for _, p := range parts {
		err := s.UnlessFailed(ctx, p.name, p.there, p.install)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			l := lack{err.Error(), "make setup"}
			errors.As(err, &l)
			fmt.Printf("💡 %s, but %s; to have it: %s (%s=0 ends this message)\n", p.gain, l.what, l.command, machine.XLAVariable)
			return nil // what stopped one stops the next
		}
	}
	return nil
}

// UnlessFailed installs what is not there, unless that has failed within a day:
// who has no network does not wait for it each time.
func (s *Clone) UnlessFailed(ctx context.Context, name string, there func() bool, install func(context.Context) error) error {
	mark := filepath.Join(s.Data(), "no-"+name)
	if there() {
		_ = os.Remove(mark)
		return nil
	}
	if info, err := os.Stat(mark); err == nil && !s.Insist && time.Since(info.ModTime()).Abs() < notAgain { // in days to come where the clock was set back
		if said, err := os.ReadFile(mark); err == nil {
			what, command, _ := strings.Cut(string(said), "\n")
			return lack{what, command}
		}
	}
	err := install(ctx)
	if err == nil || ctx.Err() != nil {
		return err
	}
	what, _, _ := strings.Cut(err.Error(), "\n")
	l := lack{what, "make setup"}
	errors.As(err, &l)
	_ = os.WriteFile(mark, []byte(l.what+"\n"+l.command), 0o666) // without it the next call tries again
	return l
}

// wantsXLA reports whether XLA could be used here and nobody has said no.
func (s *Clone) wantsXLA() bool {
	engine, _, _ := strings.Cut(os.Getenv("GOMLX_BACKEND"), ":")
	return os.Getenv(machine.XLAVariable) != "0" && os.Getenv("CGO_ENABLED") != "0" && (engine == "" || engine == "xla") &&
		runtime.GOOS == "linux" && (runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64")
}

func has(kind string) bool {
	return slices.ContainsFunc(machine.Plugins(), func(p string) bool { return strings.Contains(filepath.Base(p), kind) })
}

// hasCompiler reports whether Go finds the C compiler that it would use.
func (s *Clone) hasCompiler() bool {
	out, err := exec.Command("go", "env", "CC").Output()
	words := strings.Fields(string(out))
	if err != nil || len(words) == 0 {
		return false
	}
	_, err = exec.LookPath(words[0])
	return err == nil
}

func (s *Clone) installCompiler(ctx context.Context) error {
	if s.installWithApt(ctx, "a C compiler", compilerPackages) == nil && s.hasCompiler() {
		return nil
	}
	return lack{"there is no C compiler", "apt-get install " + strings.Join(compilerPackages, " ")}
}

// installCPU fetches XLA's plugin for the CPU through pip, so that a person's
// mirror, proxy and certificates count, or else with go-xla's installer.
func (s *Clone) installCPU(ctx context.Context) error {
	return s.inFolder(ctx, func(dir string) error {
		if has("cpu") { // another clone was faster
			return nil
		}
		if runtime.GOARCH != "amd64" { // PyPI's plugin is for x86-64
			fmt.Println("📥 Installing XLA for the CPU with go-xla's installer")
			if s.installWithGoXLA(ctx, dir) != nil {
				return fmt.Errorf("go-xla's installer could not fetch it, see %s", s.Relative(s.Log()))
			}
			return nil
		}
		fmt.Printf("📥 Installing XLA for the CPU with pip: %s %s, %d MB\n", cpuWheel.name, cpuWheel.version, cpuWheel.megabytes)
		err := s.installWheel(ctx, cpuWheel, dir)
		if err == nil || ctx.Err() != nil || errors.Is(err, errNotTheWheel) {
			return err
		}
		if s.installWithGoXLA(ctx, dir) == nil {
			return nil
		}
		return err // that of pip says what to do
	})
}

// inFolder calls install with the folder in which go-xla looks first, while
// nobody else installs there.
func (s *Clone) inFolder(ctx context.Context, install func(dir string) error) error {
	dirs := machine.PluginFolders()
	if len(dirs) == 0 {
		return lack{"PJRT_PLUGIN_LIBRARY_PATH is set and empty", "unset PJRT_PLUGIN_LIBRARY_PATH && make setup"}
	}
	dir := dirs[0]
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lock, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := durable.Lock(ctx, lock, func() { fmt.Printf("⏳ Another process installs in %s; waiting for it\n", dir) }); err != nil {
		return err
	}
	for _, left := range tree.Glob(dir, durable.TempPrefix+"*") { // by set-ups that were killed
		if err := os.RemoveAll(left); err != nil {
			return err
		}
	}
	return install(dir)
}

// pip returns a Python that has pip: that of the clone's .venv, python3, or a
// .venv made for it.
func (s *Clone) pip(ctx context.Context) (string, error) {
	own := filepath.Join(s.venv(), "bin", "python")
	for _, python := range []string{own, "python3"} {
		if path, err := exec.LookPath(python); err == nil && Answers(ctx, path, "-m", "pip", "--version") {
			return path, nil
		}
	}
	none := lack{"there is no Python 3 with pip", "apt-get install python3-pip && make setup"}
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", none
	}
	_, before := os.Stat(s.venv())
	if s.Logged(ctx, nil, python, "-m", "venv", s.venv()) != nil {
		if before != nil {
			_ = os.RemoveAll(s.venv())
		}
		return "", none
	}
	return own, nil
}

var errNotTheWheel = errors.New("is not the file that is known")

// installWheel puts the plugin of a wheel into a folder, and its licences beside
// it, or leaves nothing there.
func (s *Clone) installWheel(ctx context.Context, w wheel, dir string) error {
	python, err := s.pip(ctx)
	if err != nil {
		return err
	}
	scratch, remove, err := durable.Scratch(filepath.Join(s.Dir, "build"), "xla")
	if err != nil {
		return err
	}
	defer remove()
	// One retry: where there is no network pip would try for minutes.
	err = s.Logged(ctx, []string{"TMPDIR=" + scratch}, python, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--retries=1", "--dest="+scratch, w.name+"=="+w.version)
	if err != nil {
		return fmt.Errorf("pip could not fetch %s, see %s", w.name, s.Relative(s.Log()))
	}
	files := tree.Glob(scratch, "*.whl")
	if len(files) != 1 {
		return fmt.Errorf("pip fetched no wheel of %s, see %s", w.name, s.Relative(s.Log()))
	}
	sum, err := durable.SHA256(files[0])
	if err != nil {
		return err
	}
	if sum != w.sha256 {
		return fmt.Errorf("what pip fetched as %s %s %w (SHA-256 %s instead of %s) and was thrown away", w.name, w.version, errNotTheWheel, sum, w.sha256)
	}
	return w.unpack(files[0], dir)
}

// unpack writes the plugin last: go-xla finds it when all is there.
func (w wheel) unpack(file, dir string) error {
	z, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer z.Close()
	var plugin *zip.File
	stem := strings.TrimSuffix(cpuPlugin, ".so")
	for _, f := range z.File {
		switch {
		case f.Name == w.plugin:
			plugin = f
		case path.Base(path.Dir(f.Name)) == "licenses":
			if err := unzip(f, filepath.Join(dir, stem+"."+path.Base(f.Name))); err != nil {
				return err
			}
		}
	}
	if plugin == nil {
		return fmt.Errorf("%s holds no %s", filepath.Base(file), w.plugin)
	}
	return unzip(plugin, filepath.Join(dir, cpuPlugin))
}

func unzip(f *zip.File, to string) error {
	from, err := f.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	return durable.WriteFrom(to, from)
}

// goXLALimit ends go-xla's installer where a proxy never answers.
const goXLALimit = 5 * time.Minute

// installWithGoXLA puts the plugin of go-xla's own releases into a folder. It
// brings no checksums; the version is the one that go-xla was tested with.
func (s *Clone) installWithGoXLA(ctx context.Context, dir string) error {
	scratch, err := os.MkdirTemp(dir, durable.TempPrefix+"xla-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	ctx, cancel := context.WithTimeout(ctx, goXLALimit)
	defer cancel()
	if err := s.Logged(ctx, []string{"TMPDIR=" + scratch}, "go", "run", "./pkg/cmd/xlaplugin", scratch); err != nil {
		return err
	}
	files := tree.Glob(scratch, "pjrt_c_api_cpu_v*_plugin.so")
	if len(files) != 1 {
		return fmt.Errorf("go-xla's installer left %d plugins", len(files))
	}
	return os.Rename(files[0], filepath.Join(dir, cpuPlugin))
}
