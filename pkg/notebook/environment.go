package notebook

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"rekindle/pkg/machine"
)

// Environment prints what this notebook runs on: versions, processor, memory,
// GPUs and XLA plugins.
func Environment() {
	Check(enterClone())
	vector := "vector code off: set GOEXPERIMENT=simd for several times the speed"
	if strings.Contains(built("GOEXPERIMENT"), "simd") {
		vector = "vector code on"
	}
	memory := machine.MainMemory()
	say("🖥️  Environment")
	say("   Go:      %s %s/%s, %s", runtime.Version(), runtime.GOOS, runtime.GOARCH, vector)
	say("   GoMLX:   %s", versions("github.com/gomlx/gomlx", "github.com/gomlx/compute", "github.com/gomlx/go-xla"))
	say("   Kernel:  %s", kernel())
	say("   CPU:     %s, %d cores", machine.CPU(), runtime.GOMAXPROCS(0))
	say("   Memory:  %.1f GB, %.1f GB of it free", gigabytes(memory.Total), gigabytes(memory.Available))
	say("   GPU:     %s", orNone(machine.GPUs()))
	for _, m := range machine.GPUMemory() {
		say("            %.1f GB, %.1f GB of it free", gigabytes(m.Total), gigabytes(m.Available))
	}
	say("   XLA:     %s", orNone(plugins()))
	switch {
	case HasGPU():
		say("   Engine:  XLA on the GPU")
	case machine.HasGPU():
		say("   Engine:  on the CPU; to use the GPU, install XLA's CUDA plugin (docs/gpu.md) and a C compiler")
	default:
		say("   Engine:  on the CPU")
	}
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func gigabytes(bytes int64) float64 { return float64(bytes) / (1 << 30) }

func kernel() string {
	if inNotebook() {
		return "GoNB"
	}
	return "none; this program does not run in a notebook"
}

// versions shows what go.mod pins. The build information of this program would
// not tell: it links none of these modules.
func versions(modules ...string) string {
	pinned, err := PinnedVersions("go.mod")
	if err != nil {
		return "unknown: the notebook does not lie in a clone of Rekindle"
	}
	var found []string
	for _, m := range modules {
		found = append(found, filepath.Base(m)+" "+pinned[m])
	}
	return strings.Join(found, ", ")
}

// PinnedVersions returns the version of each module that a go.mod requires.
func PinnedVersions(goMod string) (map[string]string, error) {
	text, err := os.ReadFile(goMod)
	if err != nil {
		return nil, err
	}
	pinned := map[string]string{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(words) >= 2 && strings.HasPrefix(words[1], "v") {
			pinned[words[0]] = words[1]
		}
	}
	return pinned, nil
}

// XLAMayRun reports whether there is anything that XLA could run with: a GPU, a
// plugin, or the user's word for it.
func XLAMayRun() bool {
	return machine.HasGPU() || len(plugins()) > 0 || strings.HasPrefix(os.Getenv("GOMLX_BACKEND"), "xla")
}

// plugins lists the XLA plugins in the folders where go-xla looks first; it also
// searches those of /etc/ld.so.conf, where nobody puts plugins.
func plugins() []string {
	dirs := filepath.SplitList(os.Getenv("PJRT_PLUGIN_LIBRARY_PATH"))
	if len(dirs) == 0 {
		for _, lib := range []string{homeLib(), "/usr/local/lib"} {
			dirs = append(dirs, filepath.Join(lib, "go-xla"), filepath.Join(lib, "go-xla", "nvidia"), filepath.Join(lib, "gomlx", "pjrt"))
		}
		dirs = append(dirs, filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))...)
	}
	var found []string
	for _, dir := range dirs {
		for _, pattern := range []string{"pjrt_c_api_*_plugin.so", "pjrt-plugin-*.so", "pjrt_plugin_*.so"} {
			files, _ := filepath.Glob(filepath.Join(dir, pattern)) // the patterns are well formed
			found = append(found, files...)
		}
	}
	return found
}

func homeLib() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return "/nonexistent"
	}
	return filepath.Join(home, ".local", "lib")
}

// built returns a setting that this program was built with, such as GOEXPERIMENT.
func built(key string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == key {
				return s.Value
			}
		}
	}
	return ""
}
