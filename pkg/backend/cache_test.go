package backend

import (
	"os"
	"path/filepath"
	"testing"
)

func TestXLAKeepsWhatItTriedUnlessToldOtherwise(t *testing.T) {
	const own = cacheFlag + "=/elsewhere"
	dir := t.TempDir()
	kept := cacheFlag + "=" + filepath.Join(dir, "xla")
	for _, c := range []struct{ what, config, cache, flags, want string }{
		{"CUDA", "xla:cuda", dir, "", kept},
		{"a plugin by its path, with options", "xla:/no/xla_cuda_plugin.so,tf32=false", dir, "--a=1", "--a=1 " + kept},
		{"set already", "xla:cuda", dir, "--a=1 " + kept, "--a=1 " + kept},
		{"the user's own folder", "xla:cuda", dir, own, own},
		{"caches are off", "xla:cuda", "off", "--a=1", "--a=1"},
		{"a folder that cannot be made", "xla:cuda", "/dev/null", "--a=1", "--a=1"},
		{"a folder that XLA would take for two flags", "xla:cuda", dir + "/a b", "--a=1", "--a=1"},
		{"XLA on the CPU", "xla:cpu,cuda=1", dir, "--a=1", "--a=1"},
		{"the Go engine", "go", dir, "--a=1", "--a=1"},
	} {
		t.Setenv("REKINDLE_CACHE_DIR", c.cache)
		t.Setenv("XLA_FLAGS", c.flags)
		start(c.config) // there is no plugin here; the flags come before it
		if got := os.Getenv("XLA_FLAGS"); got != c.want {
			t.Errorf("%s: XLA_FLAGS is %q, want %q", c.what, got, c.want)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "xla")); err != nil || !info.IsDir() {
		t.Errorf("the folder was not made: %v", err)
	}
}

func TestXLAFindsNVIDIAsCompilerBesideThePlugin(t *testing.T) {
	t.Setenv("REKINDLE_CACHE_DIR", "off")
	dir := t.TempDir()
	for _, bin := range []string{"go-xla/nvidia/cu13/bin", "twelve/nvidia/cuda_nvcc/bin", "site-packages/nvidia/cu13/bin", "site-packages/jax_plugins/xla_cuda13"} {
		if err := os.MkdirAll(filepath.Join(dir, bin), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "go-xla/nvidia/pjrt_c_api_cuda_plugin.so"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", filepath.Join(dir, "go-xla/nvidia"))
	for _, c := range []struct{ config, flags, want string }{
		{"xla:cuda,tf32=false", "", cudaFlag + "=" + filepath.Join(dir, "go-xla/nvidia/cu13")},
		{"xla:" + dir + "/twelve/nvidia/pjrt_c_api_cuda_plugin.so", "--a=1", "--a=1 " + cudaFlag + "=" + filepath.Join(dir, "twelve/nvidia/cuda_nvcc")},
		{"xla:" + dir + "/site-packages/jax_plugins/xla_cuda13/xla_cuda_plugin.so", "", cudaFlag + "=" + filepath.Join(dir, "site-packages/nvidia/cu13")},
		{"xla:" + dir + "/nothing/here/xla_cuda_plugin.so", "--a=1", "--a=1"},
		{"xla:cuda", cudaFlag + "=/mine", cudaFlag + "=/mine"},
		{"xla:cpu", "--a=1", "--a=1"},
	} {
		t.Setenv("XLA_FLAGS", c.flags)
		prepare(c.config)
		if got := os.Getenv("XLA_FLAGS"); got != c.want {
			t.Errorf("%s: XLA_FLAGS is %q, want %q", c.config, got, c.want)
		}
	}
}
