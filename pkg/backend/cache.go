package backend

import (
	"os"
	"strings"

	"rekindle/pkg/machine"
)

// XLA tries several algorithms for each convolution when it compiles a step.
// With this flag it keeps what it found, and the next process, which in a
// notebook is the next cell, does not try again. A flag that a plugin does not
// know ends the process; XLA has had this one for years, and go-xla v0.4.1's copy
// of XLA's options (field 310) has it.
const cacheFlag = "--xla_gpu_per_fusion_autotune_cache_dir"

// keepTuning sets the flag for the engine of a configuration string, unless the
// user has. Without a folder to write to, XLA tries again: only time is lost.
func keepTuning(config string) {
	name, options, _ := strings.Cut(config, ":")
	plugin, _, _ := strings.Cut(strings.ToLower(options), ",")
	flags := os.Getenv("XLA_FLAGS")
	if name != "xla" || !strings.Contains(plugin, "cuda") || strings.Contains(flags, cacheFlag) {
		return
	}
	dir, err := machine.CacheFolder("xla")
	if err != nil || dir == "" || strings.ContainsAny(dir, " \t\n'\"") { // XLA splits flags at blanks
		return
	}
	if os.MkdirAll(dir, 0o700) == nil { // XLA does not
		os.Setenv("XLA_FLAGS", strings.TrimSpace(flags+" "+cacheFlag+"="+dir))
	}
}
