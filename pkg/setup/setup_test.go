package setup

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/internal/standin"
	"rekindle/pkg/machine"
)

func clone(t *testing.T) *Clone { return &Clone{Dir: standin.Clone(t)} }

func TestABrokenJupyterOnThePathIsPassedOver(t *testing.T) {
	s := clone(t)
	shims, good := t.TempDir(), t.TempDir()
	standin.Write(t, filepath.Join(shims, "jupyter"), "#!/bin/sh\nexit 127\n", 0o777)
	standin.Write(t, filepath.Join(good, "jupyter"), "#!/bin/sh\nexit 0\n", 0o777)
	t.Setenv("PATH", shims+":"+good+":/usr/bin:/bin")
	if err := s.findJupyter(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(good, "jupyter"); s.Jupyter != want {
		t.Errorf("got %s, want %s", s.Jupyter, want)
	}
}

func TestAJupyterThatWasFoundIsNotAskedAgain(t *testing.T) {
	s := clone(t)
	program := filepath.Join(t.TempDir(), "jupyter")
	asked := filepath.Join(s.Dir, "asked")
	standin.Write(t, program, "#!/bin/sh\necho once >> "+asked+"\n", 0o777)
	t.Setenv("PATH", filepath.Dir(program)+":/usr/bin:/bin")
	for range 2 {
		if err := s.findJupyter(t.Context()); err != nil || s.Jupyter != program {
			t.Errorf("got %s, %v, want %s", s.Jupyter, err, program)
		}
	}
	if text, _ := os.ReadFile(asked); string(text) != "once\n" {
		t.Errorf("it was asked: %q", text)
	}
}

func TestWithoutAnyWayToInstallOneLineSaysWhatToInstall(t *testing.T) {
	s := clone(t)
	t.Setenv("PATH", t.TempDir()) // no apt-get, no python3
	err := s.installJupyter(t.Context())
	if err == nil {
		t.Fatal("got no error")
	}
	for _, part := range []string{"no Jupyter was found", "apt-get install jupyter-notebook", "pip install notebook"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got %q, want it to say %q", err, part)
		}
	}
}

func TestTheKernelIsInstalledAgainOnlyWhenTheCloneMoved(t *testing.T) {
	s := clone(t)
	calls := filepath.Join(s.Dir, "calls")
	spec := `{"argv": ["` + filepath.Join(s.bin(), "gonb") + `", "-go_work=` + s.Dir + `"]}`
	standin.Write(t, filepath.Join(s.bin(), "gonb"), "#!/bin/sh\necho \"$@\" >> "+calls+"\nmkdir -p $JUPYTER_DATA_DIR/kernels/gonb\necho '"+spec+"' > $JUPYTER_DATA_DIR/kernels/gonb/kernel.json\n", 0o777)
	install := func() {
		t.Helper()
		if err := s.installKernel(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	standin.Printed(t, func() { install(); install() })
	raw, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(raw), "--install --force_deps --raw_error --go_work="+s.Dir+"\n"; got != want {
		t.Errorf("two calls ran gonb with %q, want once with %q", got, want)
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(s.Dir, moved); err != nil {
		t.Fatal(err)
	}
	s.Dir = moved
	standin.Write(t, filepath.Join(s.bin(), "gonb"), "#!/bin/sh\ntouch "+moved+"/again\n", 0o777)
	standin.Printed(t, install)
	if _, err := os.Stat(filepath.Join(moved, "again")); err != nil {
		t.Error("the clone moved, and the kernel was not installed again")
	}
}

// VS Code and a Jupyter server of the user's own do not start with this
// program's environment.
func TestTheKernelBringsItsOwnEnvironment(t *testing.T) {
	s := clone(t)
	tools := t.TempDir()
	standin.Write(t, filepath.Join(tools, "go"), "#!/bin/sh\n", 0o777)
	t.Setenv("PATH", tools+":/usr/bin:/bin")
	t.Setenv("GOEXPERIMENT", "jsonv2")
	t.Setenv("GOFLAGS", "-mod=mod -buildvcs=false")
	t.Setenv("CGO_ENABLED", "0")
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", t.TempDir())
	gonb := filepath.Join(s.bin(), "gonb")
	standin.Write(t, gonb, "", 0o777)
	standin.Write(t, s.kernelSpec(), `{"argv": ["`+gonb+`", "-go_work=`+s.Dir+`"], "language": "go", "env": {"OLD": "1"}}`, 0o666)
	for range 2 {
		if err := s.installKernel(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(s.kernelSpec())
	if err != nil {
		t.Fatal(err)
	}
	var spec struct {
		Argv     []string
		Language string
		Env      map[string]string
	}
	if err := json.Unmarshal(raw, &spec); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"PATH": s.bin() + ":" + tools + ":${PATH}:/usr/local/bin:/usr/bin:/bin", "GOEXPERIMENT": "jsonv2,simd", "GOFLAGS": "-buildvcs=false", "GOWORK": "auto", "GO111MODULE": "on", "CGO_ENABLED": "0"}
	if !maps.Equal(spec.Env, want) {
		t.Errorf("the kernel's environment is %v, want %v", spec.Env, want)
	}
	if len(spec.Argv) != 2 || spec.Language != "go" {
		t.Errorf("the rest of the specification was lost: %s", raw)
	}
}

func TestAKernelThatRunsACopyIsNotInstalledAgain(t *testing.T) {
	s := clone(t)
	gonb, copied := filepath.Join(s.bin(), "gonb"), filepath.Join(s.Data(), "kernels", "gonb", "gonb")
	standin.Write(t, gonb, "#!/bin/sh\ntouch "+s.Dir+"/again\n", 0o777)
	standin.Write(t, filepath.Join(s.Data(), "kernels", "gonb", "kernel.json"), `{"argv": ["`+copied+`", "-go_work=`+s.Dir+`"]}`, 0o666)
	for _, c := range []struct {
		text string // of the copy
		want bool
	}{{"#!/bin/sh\ntouch " + s.Dir + "/again\n", false}, {"an older one", true}} {
		standin.Write(t, copied, c.text, 0o777)
		standin.Printed(t, func() {
			if err := s.installKernel(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
		if _, err := os.Stat(filepath.Join(s.Dir, "again")); (err == nil) != c.want {
			t.Errorf("the copy %q: installed again %v, want %v", c.text, err == nil, c.want)
		}
	}
}

// Jobs of a scheduler begin together: what is set up is not taken away under
// another's feet.
func TestSetUpsWaitForEachOther(t *testing.T) {
	s := clone(t)
	lock, err := os.OpenFile(filepath.Join(s.Dir, "build", "setup.lock"), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir()) // nothing can be installed, so the end comes soon
	done := make(chan struct{})
	go func() {
		standin.Printed(t, func() { _ = s.All(t.Context()) })
		close(done)
	}()
	select {
	case <-done:
		t.Error("a second set-up did not wait for the first")
	case <-time.After(200 * time.Millisecond):
	}
	lock.Close()
	select {
	case <-done:
	case <-time.After(3 * time.Minute): // Jupyter, if it is there, takes its time on a busy machine
		t.Error("the second set-up waits although the first is done")
	}
}

func TestCellsAreLinkedWithXLAOnlyWhereItMayRun(t *testing.T) {
	if machine.HasGPU() {
		t.Skip("this machine has a GPU: cells are linked with XLA in any case")
	}
	s := clone(t)
	for _, c := range []struct{ plugin, engine, cgo, cc, want string }{
		{"", "", "", "true", "CGO_ENABLED=0"},
		{"pjrt_c_api_cpu_plugin.so", "", "", "true", ""},
		{"pjrt_c_api_cpu_plugin.so", "", "", "/none/cc", "CGO_ENABLED=0"}, // of an environment that is gone
		{"", "xla:/some/plugin.so", "", "true", ""},
		{"", "", "1", "true", "CGO_ENABLED=1"},
	} {
		t.Setenv("CC", c.cc)
		plugins := t.TempDir()
		t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", plugins)
		t.Setenv("GOMLX_BACKEND", c.engine)
		t.Setenv("CGO_ENABLED", c.cgo)
		if c.cgo == "" {
			os.Unsetenv("CGO_ENABLED") // put back by Setenv's cleanup
		}
		if c.plugin != "" {
			standin.Write(t, filepath.Join(plugins, c.plugin), "", 0o666)
		}
		got := ""
		for _, line := range s.Environ() {
			if strings.HasPrefix(line, "CGO_ENABLED=") {
				got = line
			}
		}
		if got != c.want {
			t.Errorf("plugin %q, GOMLX_BACKEND %q, CGO_ENABLED %q, CC %q: cells get %q, want %q", c.plugin, c.engine, c.cgo, c.cc, got, c.want)
		}
	}
}

func TestCellsGetTheToolsTheKernelAndVectorCode(t *testing.T) {
	s := clone(t)
	t.Setenv("GOEXPERIMENT", "jsonv2")
	t.Setenv("GOFLAGS", "-mod=mod -buildvcs=false")
	t.Setenv("JUPYTER_PATH", "/opt/kernels")
	t.Setenv("GOWORK", "off")
	t.Setenv("GO111MODULE", "off")
	last := map[string]string{}
	for _, line := range s.Environ() {
		key, value, _ := strings.Cut(line, "=")
		last[key] = value
	}
	if !strings.HasPrefix(last["PATH"], s.bin()+":") {
		t.Errorf("PATH is %s, want the clone's tools first", last["PATH"])
	}
	for key, want := range map[string]string{"GOEXPERIMENT": "jsonv2,simd", "GOFLAGS": "-buildvcs=false", "GOWORK": "auto", "GO111MODULE": "on", "JUPYTER_PATH": s.Data() + ":/opt/kernels"} {
		if last[key] != want {
			t.Errorf("%s is %q, want %q", key, last[key], want)
		}
	}
}

func TestXLAOnTheCPUKeepsItsMemory(t *testing.T) {
	s, plugins, _ := bare(t, "")
	gonb := filepath.Join(s.bin(), "gonb")
	standin.Write(t, gonb, "", 0o777)
	kernel := func() string {
		standin.Write(t, s.kernelSpec(), `{"argv": ["`+gonb+`", "-go_work=`+s.Dir+`"]}`, 0o666)
		if err := s.installKernel(t.Context()); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(s.kernelSpec())
		if err != nil {
			t.Fatal(err)
		}
		var spec struct{ Env map[string]string }
		if err := json.Unmarshal(raw, &spec); err != nil {
			t.Fatal(err)
		}
		return spec.Env["GLIBC_TUNABLES"]
	}
	if got := kernel(); got != "" {
		t.Errorf("without a plugin the kernel sets %q, want nothing", got)
	}
	if machine.HasGPU() {
		t.Skip("this machine has a GPU")
	}
	standin.Write(t, filepath.Join(plugins, cpuPlugin), "", 0o666)
	for set, want := range map[string]string{
		"":                       "glibc.malloc.hugetlb=1",
		"glibc.cpu.x=1":          "glibc.cpu.x=1:glibc.malloc.hugetlb=1",
		"glibc.malloc.hugetlb=2": "glibc.malloc.hugetlb=2",
	} {
		t.Setenv("GLIBC_TUNABLES", set)
		if got := kernel(); got != want {
			t.Errorf("GLIBC_TUNABLES=%q: the kernel sets %q, want %q", set, got, want)
		}
	}
	t.Setenv("REKINDLE_XLA", "0")
	if got := kernel(); got != "" {
		t.Errorf("with REKINDLE_XLA=0 the kernel sets %q, want nothing", got)
	}
}
