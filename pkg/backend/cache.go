package backend

import (
	"os"
	"path/filepath"
	"strings"

	"rekindle/pkg/machine"
)

// XLA tries several algorithms for each convolution when it compiles a step.
// With this flag it keeps what it found, and the next process, which in a
// notebook is the next cell, does not try again. A flag that a plugin does not
// know ends the process; XLA has had this one for years, and go-xla v0.4.1's copy
// of XLA's options (field 310) has it.
const cacheFlag = "--xla_gpu_per_fusion_autotune_cache_dir"

// cudaFlag names the folder with NVIDIA's compiler and library of device code.
const cudaFlag = "--xla_gpu_cuda_data_dir"

// prepare sets XLA's flags for the engine of a configuration string, where it is
// CUDA, unless the user has. Without a folder to write to, XLA tries again: only
// time is lost.
func prepare(config string) {
	name, options, _ := strings.Cut(config, ":")
	plugin, _, _ := strings.Cut(options, ",")
	if name != "xla" || !strings.Contains(strings.ToLower(plugin), "cuda") {
		return
	}
	set := func(flag, dir string) {
		flags := os.Getenv("XLA_FLAGS")
		if !strings.Contains(flags, flag) && !strings.ContainsAny(dir, " \t\n'\"") { // XLA splits flags at blanks
			os.Setenv("XLA_FLAGS", strings.TrimSpace(flags+" "+flag+"="+dir))
		}
	}
	if dir := cudaFolder(plugin); dir != "" {
		set(cudaFlag, dir)
	}
	if strings.Contains(os.Getenv("XLA_FLAGS"), cacheFlag) {
		return
	}
	if dir, err := machine.CacheFolder("xla"); err == nil && dir != "" && os.MkdirAll(dir, 0o700) == nil { // XLA does not make it
		set(cacheFlag, dir)
	}
}

// cudaFolder finds NVIDIA's compiler beside a plugin, which is named by its path
// or by a word: in the folder that set-up makes, or in Python's site-packages.
// "": XLA looks for itself.
func cudaFolder(plugin string) string {
	if !filepath.IsAbs(plugin) {
		for _, p := range machine.Plugins() {
			if strings.Contains(filepath.Base(p), "cuda") {
				plugin = p
				break
			}
		}
	}
	dir := filepath.Dir(plugin)
	for _, nvidia := range []string{dir, filepath.Join(dir, "../nvidia"), filepath.Join(dir, "../../nvidia")} {
		for _, part := range []string{"cu13", "cuda_nvcc"} { // CUDA 13 and 12
			if info, err := os.Stat(filepath.Join(nvidia, part, "bin")); err == nil && info.IsDir() {
				return filepath.Join(nvidia, part)
			}
		}
	}
	return ""
}
