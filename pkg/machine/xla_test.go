package machine

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestTheEngineIsTheBestThatIsThere(t *testing.T) {
	const cpu, cuda = "/lib/pjrt_c_api_cpu_plugin.so", "/lib/nvidia/pjrt_c_api_cuda_plugin.so"
	both := []string{cpu, cuda}
	for _, c := range []struct {
		name          string
		device, named string
		plugins       []string
		gpu, cgo      bool
		want          string
	}{
		{"a GPU and its plugin", "auto", "", both, true, true, "xla:cuda"},
		{"a GPU without its plugin", "auto", "", []string{cpu}, true, true, "xla:cpu"},
		{"a GPU without any plugin", "auto", "", nil, true, true, "go"},
		{"no GPU", "auto", "", both, false, true, "xla:cpu"},
		{"a versioned plugin", "auto", "", []string{"/lib/pjrt_c_api_cpu_v0.114.0_plugin.so"}, false, true, "xla:cpu"},
		{"a folder named after a CPU", "auto", "", []string{"/cpu/pjrt_c_api_tpu_plugin.so"}, false, true, "go"},
		{"no C compiler", "auto", "", both, true, false, "go"},
		{"Device go", "go", "", both, true, true, "go"},
		{"Device cpu", "cpu", "", both, true, true, "xla:cpu"},
		{"Device cuda", "cuda", "", both, true, true, "xla:cuda"},
		{"Device cuda, nothing for it", "cuda", "", []string{cpu}, true, true, "go"},
		{"the Go engine is named", "cuda", "go", both, true, true, "go"},
		{"XLA on the CPU is named", "auto", "xla:cpu", both, true, true, "xla:cpu"},
		{"XLA is named", "cpu", "xla", both, true, true, "xla:cuda"},
		{"XLA is named, no GPU", "go", "xla", both, false, true, "xla:cpu"},
		{"a plugin is named", "auto", "xla:/opt/jax/xla_cuda_plugin.so,tf32=false", nil, true, true, "xla:cuda"},
		{"a plugin in a folder cuda is named", "auto", "xla:/cuda/pjrt_c_api_cpu_plugin.so", nil, true, true, "xla:cpu"},
	} {
		if got := engine(c.device, c.named, c.plugins, c.gpu, c.cgo); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestPluginsAreFoundWhereGoXLALooks(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("LD_LIBRARY_PATH", "relative:"+filepath.Join(home, "ld"))
	unset(t, "PJRT_PLUGIN_LIBRARY_PATH")
	want := []string{
		filepath.Join(home, ".local/lib/go-xla/pjrt_c_api_cpu_plugin.so"),
		filepath.Join(home, ".local/lib/go-xla/nvidia/pjrt_c_api_cuda_plugin.so"),
		filepath.Join(home, "ld/pjrt-plugin-other.so"),
	}
	for _, path := range append(want, filepath.Join(home, "elsewhere/pjrt_c_api_cpu_plugin.so"), filepath.Join(home, "ld/libcpu.so")) {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	own := slices.DeleteFunc(Plugins(), func(p string) bool { return filepath.Dir(p) == "/usr/local/lib/go-xla" })
	if !slices.Equal(own, want) {
		t.Errorf("got %v, want %v", own, want)
	}
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", filepath.Join(home, "elsewhere"))
	if got := Plugins(); len(got) != 1 || filepath.Dir(got[0]) != filepath.Join(home, "elsewhere") {
		t.Errorf("with PJRT_PLUGIN_LIBRARY_PATH: got %v, want what lies there alone", got)
	}
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", "")
	if got := Plugins(); len(got) != 0 {
		t.Errorf("with an empty PJRT_PLUGIN_LIBRARY_PATH: got %v, want none, as go-xla does", got)
	}
}

// unset removes a variable until the test ends.
func unset(t *testing.T, name string) {
	t.Helper()
	t.Setenv(name, "") // puts it back afterwards
	os.Unsetenv(name)
}
