package notebook

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"rekindle/pkg/machine"
	"rekindle/pkg/notebook/cell"
)

// Environment prints what this notebook runs on: versions, processor, memory,
// GPUs and XLA plugins.
func Environment() {
	cell.Check(cell.EnterClone())
	vector := "vector code off: set GOEXPERIMENT=simd for several times the speed"
	if strings.Contains(built("GOEXPERIMENT"), "simd") {
		vector = "vector code on"
	}
	memory := machine.MainMemory()
	cell.Say("🖥️  Environment")
	cell.Say("   Go:      %s %s/%s, %s", runtime.Version(), runtime.GOOS, runtime.GOARCH, vector)
	cell.Say("   GoMLX:   %s", versions("github.com/gomlx/gomlx", "github.com/gomlx/compute", "github.com/gomlx/go-xla"))
	cell.Say("   Kernel:  %s", kernel())
	cell.Say("   CPU:     %s, %d cores", machine.CPU(), runtime.GOMAXPROCS(0))
	switch {
	case memory.Total == 0:
		cell.Say("   Memory:  the system does not tell")
	case memory.Available == 0:
		cell.Say("   Memory:  %.1f GB; the system does not tell how much of it is free", gigabytes(memory.Total))
	default:
		cell.Say("   Memory:  %.1f GB, %.1f GB of it free", gigabytes(memory.Total), gigabytes(memory.Available))
	}
	cell.Say("   GPU:     %s", orNone(machine.GPUs()))
	for _, m := range machine.GPUMemory() {
		cell.Say("            %.1f GB, %.1f GB of it free", gigabytes(m.Total), gigabytes(m.Available))
	}
	cell.Say("   XLA:     %s", orNone(fromHome(machine.Plugins())))
	switch engine := Engine("auto"); {
	case engine == "xla:cuda":
		cell.Say("   Engine:  XLA on the GPU")
	case machine.HasGPU():
		cell.Say("   Engine:  %s, on the CPU; to use the GPU, install XLA's CUDA plugin (docs/gpu.md) and a C compiler", engine)
	case engine == "xla:cpu":
		cell.Say("   Engine:  XLA on the CPU")
	default:
		cell.Say("   Engine:  Go, on the CPU; with XLA's plugin and a C compiler it would be XLA, three to four times as fast (docs/engines.md)")
	}
}

// fromHome shows paths under the home folder as a shell does, so that a stored
// notebook tells nobody whose it is.
func fromHome(paths []string) []string {
	home, err := os.UserHomeDir()
	if err != nil {
		return paths
	}
	var short []string
	for _, p := range paths {
		if rest, under := strings.CutPrefix(p, home+"/"); under {
			p = "~/" + rest
		}
		short = append(short, p)
	}
	return short
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func gigabytes(bytes int64) float64 { return float64(bytes) / (1 << 30) }

func kernel() string {
	if cell.InNotebook() {
		return "GoNB"
	}
	return "none; this program does not run in a notebook"
}

// versions shows what go.mod pins. The build information of this program would
// not tell: it links none of these modules.
func versions(modules ...string) string {
	pinned, err := cell.PinnedVersions("go.mod")
	if err != nil {
		return "unknown: the notebook does not lie in a clone of Rekindle"
	}
	var found []string
	for _, m := range modules {
		found = append(found, filepath.Base(m)+" "+pinned[m])
	}
	return strings.Join(found, ", ")
}

// Engine says which engine cells will choose for a Device key of the
// configuration: "xla:cuda", "xla:cpu" or "go".
func Engine(device string) string { return machine.Engine(device, built("CGO_ENABLED") == "1") }

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
