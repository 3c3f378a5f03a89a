package notebook

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"rekindle/pkg/machine"
)

// Environment prints what this notebook runs on: versions, processor, memory,
// GPUs and XLA plugins.
func Environment() {
	Check(enterClone())
	vector := "vector code off: set GOEXPERIMENT=simd for several times the speed"
	if vectorCode {
		vector = "vector code on"
	}
	memory := machine.MainMemory()
	say("🖥️  Environment")
	say("   Go:      %s %s/%s, %s", runtime.Version(), runtime.GOOS, runtime.GOARCH, vector)
	say("   GoMLX:   %s", versions("github.com/gomlx/gomlx", "github.com/gomlx/compute", "github.com/gomlx/go-xla"))
	say("   Kernel:  %s", kernel())
	say("   CPU:     %s, %d cores", machine.CPU(), runtime.GOMAXPROCS(0))
	say("   Memory:  %.1f GB, %.1f GB of it free", gigabytes(memory.Total), gigabytes(memory.Available))
	if gpus := machine.GPUs(); len(gpus) > 0 {
		say("   GPU:     %s", strings.Join(gpus, ", "))
	} else {
		say("   GPU:     none")
	}
	if plugins := plugins(); len(plugins) > 0 {
		say("   XLA:     %s", strings.Join(plugins, ", "))
	} else {
		say("   XLA:     no plugin installed; the engine in pure Go computes")
	}
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

// plugins lists the XLA plugins on the path where GoMLX looks for them.
func plugins() []string {
	dirs := []string{"/usr/local/lib/go-xla", "/usr/local/lib/go-xla/nvidia"}
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, ".local/lib/go-xla"), filepath.Join(home, ".local/lib/go-xla/nvidia"))
	}
	if path := os.Getenv("PJRT_PLUGIN_LIBRARY_PATH"); path != "" {
		dirs = filepath.SplitList(path)
	}
	var found []string
	for _, dir := range dirs {
		files, _ := filepath.Glob(filepath.Join(dir, "pjrt_c_api_*_plugin.so")) // the pattern is well formed
		found = append(found, files...)
	}
	if backend := os.Getenv("GOMLX_BACKEND"); backend != "" {
		found = append(found, fmt.Sprintf("GOMLX_BACKEND=%s", backend))
	}
	return found
}
