package setup

import (
	"archive/zip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/durable"
	"rekindle/pkg/internal/standin"
	"rekindle/pkg/interrupt"
	"rekindle/pkg/machine"
)

// bare is a machine with nothing but a C compiler, a Go that builds nothing, and
// a Python whose pip answers with a shell script: $1 is the folder to download
// or to install to. Each call of pip adds a line to the file that is returned.
func bare(t *testing.T, pip string) (s *Clone, plugins, calls string) {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the wheel is for Linux on x86-64")
	}
	s = clone(t)
	tools := t.TempDir()
	calls, plugins = filepath.Join(tools, "calls"), filepath.Join(t.TempDir(), "plugins")
	standin.Write(t, filepath.Join(tools, "go"), "#!/bin/sh\n[ \"$1\" = env ] && echo the-compiler -m64 || exit 1\n", 0o777)
	standin.Write(t, filepath.Join(tools, "the-compiler"), "#!/bin/sh\n", 0o777)
	standin.Write(t, filepath.Join(tools, "python3"), `#!/bin/sh
[ "$3" = --version ] && exit 0
echo "$@" >> `+calls+`
for a; do case "$a" in --dest=*|--target=*) set -- "${a#*=}";; esac; done
`+pip, 0o777)
	t.Setenv("PATH", tools+":/usr/bin:/bin")
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", plugins)
	for _, name := range []string{"REKINDLE_XLA", "CGO_ENABLED", "GOMLX_BACKEND"} {
		t.Setenv(name, "") // put back afterwards
		os.Unsetenv(name)
	}
	return s, plugins, calls
}

// fakeWheel makes a wheel and lets it be the one that is known.
func fakeWheel(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "some-1.0-py3-none-any.whl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for _, e := range [][2]string{{"some/plugin.so", "the plugin"}, {"some/__init__.py", "PATH = 1"}, {"some-1.0.dist-info/licenses/LICENSE", "be nice"}} {
		w, err := z.Create(e[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	sum, err := durable.SHA256(path)
	if err != nil {
		t.Fatal(err)
	}
	known := cpuWheel
	t.Cleanup(func() { cpuWheel = known })
	cpuWheel = wheel{name: "some", version: "1.0", sha256: sum, megabytes: 1, plugin: "some/plugin.so"}
	return path
}

// files lists what lies in a folder, hidden files included.
func files(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func lines(t *testing.T, path string) int {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(raw), "\n")
}

// install calls installXLA and returns what it says.
func install(t *testing.T, s *Clone) string {
	t.Helper()
	return standin.Printed(t, func() {
		if err := s.installXLA(t.Context()); err != nil {
			t.Errorf("set-up ends because of XLA: %v", err)
		}
	})
}

func TestXLAComesFromPipOnce(t *testing.T) {
	s, plugins, calls := bare(t, "cp $WHEEL $1")
	t.Setenv("WHEEL", fakeWheel(t))
	said := install(t, s)
	if got, want := files(t, plugins), "pjrt_c_api_cpu_plugin.LICENSE pjrt_c_api_cpu_plugin.so"; got != want {
		t.Fatalf("the plugins' folder holds %q, want %q\n%s", got, want, said)
	}
	if raw, err := os.ReadFile(filepath.Join(plugins, cpuPlugin)); err != nil || string(raw) != "the plugin" {
		t.Errorf("the plugin is %q, %v", raw, err)
	}
	if raw, err := os.ReadFile(calls); err != nil || !strings.Contains(string(raw), "-m pip download --no-deps") || !strings.Contains(string(raw), "some==1.0") {
		t.Errorf("pip was called with %q, %v; want the version that is pinned", raw, err)
	}
	if got := machine.Engine("auto", true); got != "xla:cpu" && !machine.HasGPU() {
		t.Errorf("cells would use %s, want xla:cpu", got)
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir, "build", "xla-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if said := install(t, s); said != "" || lines(t, calls) != 1 {
		t.Errorf("the second time it says %q and has called pip %d times, want nothing and once", said, lines(t, calls))
	}
}

func TestWhatIsNotTheWheelIsThrownAway(t *testing.T) {
	s, plugins, calls := bare(t, "head -c 100 $WHEEL > $1/some-1.0-py3-none-any.whl")
	t.Setenv("WHEEL", fakeWheel(t))
	said := install(t, s)
	if got := files(t, plugins); got != "" {
		t.Errorf("the plugins' folder holds %q, want nothing", got)
	}
	if !strings.Contains(said, "💡") || !strings.Contains(said, "SHA-256") {
		t.Errorf("it says %q, want that the file is another one", said)
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir, "build", "xla-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if lines(t, calls) != 1 {
		t.Errorf("pip was called %d times, want once", lines(t, calls))
	}
}

func TestWithoutNetworkOneLineSaysSoAndADayPasses(t *testing.T) {
	s, plugins, calls := bare(t, "echo no route to host >&2; exit 1")
	first := install(t, s)
	again := install(t, s)
	for _, said := range []string{first, again} {
		if strings.Count(said, "💡") != 1 || !strings.Contains(said, "three to four times") || !strings.Contains(said, "pip could not fetch lammps-jax-pjrt-cpu") ||
			!strings.Contains(said, "make setup") || !strings.Contains(said, "REKINDLE_XLA=0") {
			t.Errorf("it says %q, want one line with the gain, what failed and the command", said)
		}
	}
	if strings.Contains(again, "📥") || lines(t, calls) != 1 {
		t.Errorf("the second time it says %q, and pip was called %d times; want once", again, lines(t, calls))
	}
	if got := files(t, plugins); got != "" {
		t.Errorf("the plugins' folder holds %q, want nothing", got)
	}
	s.Insist = true
	install(t, s)
	if lines(t, calls) != 2 {
		t.Errorf("make setup did not try again")
	}
	s.Insist = false
	for i, passed := range []time.Duration{notAgain, -notAgain} { // the latter after the clock was set back
		then := time.Now().Add(-passed - passed/10)
		if err := os.Chtimes(filepath.Join(s.Data(), "no-cpu"), then, then); err != nil {
			t.Fatal(err)
		}
		install(t, s)
		if lines(t, calls) != 3+i {
			t.Errorf("%v later it did not try again", passed)
		}
	}
}

func TestWithoutPipOrCompilerOneLineSaysSo(t *testing.T) {
	s, plugins, _ := bare(t, "")
	tools := filepath.SplitList(os.Getenv("PATH"))[0]
	t.Setenv("PATH", tools) // no python3 but the broken one, no apt-get
	standin.Write(t, filepath.Join(tools, "python3"), "#!/bin/sh\nexit 1\n", 0o777)
	if said := install(t, s); !strings.Contains(said, "no Python 3 with pip") || !strings.Contains(said, "apt-get install python3-pip") {
		t.Errorf("without pip it says %q", said)
	}
	if err := os.Remove(filepath.Join(tools, "the-compiler")); err != nil {
		t.Fatal(err)
	}
	if said := install(t, s); strings.Count(said, "\n") != 1 || !strings.Contains(said, "no C compiler") || !strings.Contains(said, "apt-get install gcc libc6-dev") {
		t.Errorf("without a compiler it says %q", said)
	}
	if got := files(t, plugins); got != "" {
		t.Errorf("the plugins' folder holds %q, want nothing", got)
	}
}

func TestACompilerComesFromAptGetWhereNobodyIsAsked(t *testing.T) {
	s, _, _ := bare(t, "cp $WHEEL $1")
	t.Setenv("WHEEL", fakeWheel(t))
	tools := filepath.SplitList(os.Getenv("PATH"))[0]
	if err := os.Remove(filepath.Join(tools, "the-compiler")); err != nil {
		t.Fatal(err)
	}
	standin.Write(t, filepath.Join(tools, "sudo"), "#!/bin/sh\n[ \"$2\" = true ] && exit 0\nshift; exec \"$@\"\n", 0o777)
	standin.Write(t, filepath.Join(tools, "apt-get"), "#!/bin/sh\ncase \"$*\" in *install*gcc*) printf '#!/bin/sh\\n' > "+tools+"/the-compiler; chmod +x "+tools+"/the-compiler;; esac\n", 0o777)
	if said := install(t, s); !strings.Contains(said, "a C compiler with apt-get: gcc libc6-dev") || !has("cpu") {
		t.Errorf("it says %q, and the plugin is there: %v", said, has("cpu"))
	}
}

func TestNoMeansNo(t *testing.T) {
	for _, no := range []string{"REKINDLE_XLA=0", "CGO_ENABLED=0", "GOMLX_BACKEND=go"} {
		s, plugins, calls := bare(t, "cp $WHEEL $1")
		t.Setenv("WHEEL", fakeWheel(t))
		name, value, _ := strings.Cut(no, "=")
		t.Setenv(name, value)
		if said := install(t, s); said != "" || lines(t, calls) > 0 || files(t, plugins) != "" {
			t.Errorf("%s: it says %q, calls pip %d times and leaves %q", no, said, lines(t, calls), files(t, plugins))
		}
	}
}

func TestAnInterruptedDownloadLeavesNothing(t *testing.T) {
	s, plugins, calls := bare(t, "cp $WHEEL $1/part; kill -TERM $PARENT; sleep 20")
	t.Setenv("WHEEL", fakeWheel(t))
	standin.Write(t, filepath.Join(plugins, ".unfinished-pjrt_c_api_cpu_plugin.so-1"), "of a set-up that was killed", 0o666)
	t.Setenv("PARENT", strconv.Itoa(syscall.Getpid()))
	var err error
	ctx, stop := interrupt.Context()
	defer stop()
	standin.Printed(t, func() { err = s.installXLA(ctx) })
	if !errors.Is(err, context.Canceled) || interrupt.Status(ctx) != 128+int(syscall.SIGTERM) {
		t.Errorf("got %v, exit status %d", err, interrupt.Status(ctx))
	}
	if got := files(t, plugins); got != "" {
		t.Errorf("the plugins' folder holds %q, want nothing", got)
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir, "build", "xla-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	standin.Write(t, filepath.Join(filepath.Dir(calls), "python3"), "#!/bin/sh\n[ \"$3\" = --version ] && exit 0\nfor a; do case \"$a\" in --dest=*) cp $WHEEL \"${a#*=}\";; esac; done\n", 0o777)
	if install(t, s); !has("cpu") {
		t.Error("the next call does not install it")
	}
}

func TestGoXLAsInstallerIsTheSecondSource(t *testing.T) {
	s, plugins, _ := bare(t, "exit 1")
	tools := filepath.SplitList(os.Getenv("PATH"))[0]
	standin.Write(t, filepath.Join(tools, "go"), `#!/bin/sh
[ "$1" = env ] && { echo the-compiler; exit; }
[ "$1 $2" = "run ./pkg/cmd/xlaplugin" ] || exit 1
echo a > $3/pjrt_c_api_cpu_v0.114.0_plugin.so; ln -s pjrt_c_api_cpu_v0.114.0_plugin.so $3/pjrt_c_api_cpu_plugin.so
`, 0o777)
	said := install(t, s)
	if got := files(t, plugins); got != cpuPlugin || strings.Contains(said, "💡") {
		t.Errorf("the plugins' folder holds %q, want the plugin; it says %q", got, said)
	}
}

func TestCUDAIsInstalledWhole(t *testing.T) {
	const layout = `mkdir -p $1/jax_plugins/xla_cuda13 $1/nvidia/cu13/lib $1/jax_cuda13_pjrt-0.12.0.1.dist-info
echo plugin > $1/jax_plugins/xla_cuda13/xla_cuda_plugin.so; echo lib > $1/nvidia/cu13/lib/libcublas.so.13
`
	s, plugins, calls := bare(t, layout)
	standin.Write(t, filepath.Join(plugins, "nvidia", "old"), "of an installer that broke off", 0o666)
	var err error
	said := standin.Printed(t, func() { err = s.installWheels(context.Background(), cudaFor(580), plugins) })
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said, "2.5 GB") {
		t.Errorf("it says %q, want the size first", said)
	}
	raw, _ := os.ReadFile(calls)
	if !strings.Contains(string(raw), "jax-cuda13-pjrt==0.12.0.1 nvidia-cublas==13.*") {
		t.Errorf("pip was called with %q", raw)
	}
	if got, want := files(t, plugins), "nvidia"; got != want {
		t.Errorf("the plugins' folder holds %q, want %q", got, want)
	}
	if got, want := files(t, filepath.Join(plugins, "nvidia")), "cu13 licences pjrt_c_api_cuda_plugin.so"; got != want {
		t.Errorf("nvidia holds %q, want %q", got, want)
	}
}

func TestACUDAThatDoesNotArriveChangesNothing(t *testing.T) {
	s, plugins, _ := bare(t, "mkdir -p $1/nvidia/cu13; exit 1")
	standin.Write(t, filepath.Join(plugins, "nvidia", "old"), "what was there", 0o666)
	var err error
	standin.Printed(t, func() { err = s.installWheels(context.Background(), cudaFor(579), plugins) })
	if err == nil || !strings.Contains(err.Error(), "jax-cuda12-pjrt") {
		t.Errorf("got %v, want that pip could not install the plugin for CUDA 12", err)
	}
	if got := files(t, plugins) + files(t, filepath.Join(plugins, "nvidia")); got != "nvidiaold" {
		t.Errorf("the folder holds %q, want what was there", got)
	}
}
