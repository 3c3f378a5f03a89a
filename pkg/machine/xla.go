package machine

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rekindle/pkg/tree"
)

// PluginFolders are the folders where go-xla looks for XLA's plugins first: those
// of PJRT_PLUGIN_LIBRARY_PATH where that is set, and no others. It also searches
// those of /etc/ld.so.conf, where nobody puts plugins.
func PluginFolders() []string {
	if list, set := os.LookupEnv("PJRT_PLUGIN_LIBRARY_PATH"); set {
		return slices.DeleteFunc(filepath.SplitList(list), func(dir string) bool { return dir == "" })
	}
	var dirs []string
	libs := []string{"/usr/local/lib"}
	if home, err := os.UserHomeDir(); err == nil {
		libs = append([]string{filepath.Join(home, ".local", "lib")}, libs...)
	}
	for _, lib := range libs {
		dirs = append(dirs, filepath.Join(lib, "go-xla"), filepath.Join(lib, "go-xla", "nvidia"), filepath.Join(lib, "gomlx", "pjrt"))
	}
	for _, dir := range filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")) {
		if filepath.IsAbs(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// Plugins lists the files of XLA's plugins in [PluginFolders].
func Plugins() []string {
	var found []string
	for _, dir := range PluginFolders() {
		for _, pattern := range []string{"pjrt_c_api_*_plugin.so", "pjrt-plugin-*.so", "pjrt_plugin_*.so"} {
			found = append(found, tree.Glob(dir, pattern)...)
		}
	}
	return found
}

// Engine says which engine a program will choose for a Device key of the
// configuration: "xla:cuda", "xla:cpu" or "go". cgo is whether the program is
// built with a C compiler, which loading a plugin takes. Nothing is loaded, so a
// plugin that turns out broken is counted; the environment variable
// GOMLX_BACKEND, when set, decides.
func Engine(device string, cgo bool) string {
	return engine(device, os.Getenv("GOMLX_BACKEND"), Plugins(), HasGPU(), cgo)
}

func engine(device, named string, plugins []string, gpu, cgo bool) string {
	has := func(kind string) bool {
		return slices.ContainsFunc(plugins, func(p string) bool { return strings.Contains(filepath.Base(p), kind) })
	}
	backend, plugin, _ := strings.Cut(named, ":")
	plugin, _, _ = strings.Cut(plugin, ",")
	plugin = filepath.Base(plugin)
	switch {
	case !cgo || named == "" && device == "go" || named != "" && backend != "xla":
		return "go"
	case strings.Contains(plugin, "cuda"):
		return "xla:cuda"
	case strings.Contains(plugin, "cpu"):
		return "xla:cpu"
	case gpu && has("cuda") && (named != "" || device != "cpu"):
		return "xla:cuda"
	case named != "" || device != "cuda" && has("cpu"):
		return "xla:cpu"
	}
	return "go" // or, with Device "cuda", an error
}

// XLAVariable says no to XLA: with the value 0, set-up installs nothing of it, does
// not mention it, and builds cells without it.
const XLAVariable = "REKINDLE_XLA"

// XLAMayRun reports whether there is anything that XLA could run with, a GPU, a
// plugin, or the user's word for it, and nobody has said no.
func XLAMayRun() bool {
	return os.Getenv(XLAVariable) != "0" && (HasGPU() || len(Plugins()) > 0 || strings.HasPrefix(os.Getenv("GOMLX_BACKEND"), "xla"))
}
