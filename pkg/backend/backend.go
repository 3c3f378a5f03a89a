// Package backend chooses the engine that computes: XLA on an NVIDIA GPU, XLA
// on the CPU, or GoMLX's engine in pure Go, which is always there.
//
//	engine, err := backend.Open("auto")
//	if err != nil { ... }
//	fmt.Println(engine.Choice) // go: pure Go on 4 cores (no NVIDIA GPU; xla:cpu: no plugin found)
//
// Nothing is ever downloaded: XLA is used where its plugin is installed.
package backend

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gomlx/compute"

	"rekindle/pkg/machine"
)

// Engine is an opened backend and the story of why it was chosen.
type Engine struct {
	compute.Backend
	Choice Choice
}

// Choice says which engine runs and why, in words for people.
type Choice struct {
	Name string // "xla:cuda", "xla:cpu" or "go", or the value of GOMLX_BACKEND
	Why  string
}

// OnGPU reports whether the engine computes on an NVIDIA GPU.
func (e *Engine) OnGPU() bool {
	return NameOf(e) == "xla:cuda"
}

// NameOf is the short name of an engine that was opened: "go", "xla:cuda",
// "xla:cpu", or "xla" with a plugin that is neither.
func NameOf(engine compute.Backend) string {
	name, description := engine.Name(), strings.ToLower(engine.Description())
	for _, plugin := range []string{"cuda", "cpu"} {
		if name == "xla" && strings.Contains(description, plugin) {
			return name + ":" + plugin
		}
	}
	return name
}

// Divide returns over how many devices a batch is divided for a Devices key of
// the configuration: 0, not at all, for "one", and where there is one only.
func (e *Engine) Divide(devices string) int {
	if n := e.NumDevices(); devices == "all" && n > 1 {
		return n
	}
	return 0
}

func (c Choice) String() string {
	if c.Name == "go" {
		return fmt.Sprintf("go: pure Go on %d cores (%s)", runtime.GOMAXPROCS(0), c.Why)
	}
	return fmt.Sprintf("%s (%s)", c.Name, c.Why)
}

// Open starts the engine for a Device key of the configuration:
//
//	"auto"  xla:cuda where there is an NVIDIA GPU, else xla:cpu, else go
//	"cuda"  xla:cuda or an error
//	"cpu"   xla:cpu, else go
//	"go"    the pure Go engine
//
// The environment variable GOMLX_BACKEND, when set, decides instead, and an
// engine named there that does not start is an error.
func Open(device string) (*Engine, error) {
	if name, ok := os.LookupEnv(compute.ConfigEnvVar); ok && name != "" {
		engine, err := start(name)
		if err != nil {
			return nil, fmt.Errorf("backend: %s=%s does not start: %w", compute.ConfigEnvVar, name, err)
		}
		return &Engine{engine, Choice{name, "named by " + compute.ConfigEnvVar}}, nil
	}
	switch device {
	case "go":
		return first(start, `Device is "go"`, "go")
	case "cpu":
		return first(start, `Device is "cpu"`, "xla:cpu", "go")
	case "cuda":
		if !machine.HasGPU() {
			return nil, fmt.Errorf(`backend: Device is "cuda" but this machine shows no NVIDIA GPU (no /dev/nvidia0); set Device to "auto" or "go"`)
		}
		return first(start, `Device is "cuda"`, "xla:cuda")
	case "auto", "":
		if machine.HasGPU() {
			return first(start, "an NVIDIA GPU is present", "xla:cuda", "xla:cpu", "go")
		}
		return first(start, "no NVIDIA GPU", "xla:cpu", "go")
	}
	return nil, fmt.Errorf(`backend: unknown Device %q; it must be "auto", "cuda", "cpu" or "go"`, device)
}

// first opens the first engine that starts. The choice says what kept those
// before it from starting.
func first(start func(name string) (compute.Backend, error), why string, names ...string) (*Engine, error) {
	var last error
	for _, name := range names {
		engine, err := start(name)
		if err == nil {
			return &Engine{engine, Choice{name, why}}, nil
		}
		why += fmt.Sprintf("; %s: %s", name, reason(err))
		last = fmt.Errorf("backend: %s does not start: %w", name, err)
	}
	return nil, last
}

// reason is an error of go-xla's in a few words, for one line of output.
func reason(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	if strings.Contains(line, "built without cgo") {
		return "not built in"
	}
	if strings.Contains(line, "no plugins found") || strings.Contains(line, "available plugins found") {
		return "no plugin found"
	}
	if words := []rune(line); len(words) > reasonLength {
		line = string(words[:reasonLength]) + "…"
	}
	return line
}

// reasonLength has room for the name of a library that is missing, which stands
// after the path of the plugin.
const reasonLength = 200

// start opens one engine by GoMLX's configuration string. A broken plugin file
// and an unknown engine make GoMLX panic: both become errors here.
func start(config string) (engine compute.Backend, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
			if _, ok := r.(runtime.Error); ok && strings.HasPrefix(config, "xla") {
				// go-xla's search goes on with what did not load.
				err = errors.New("a plugin file does not load; go-xla's warning on standard error names it")
			}
		}
	}()
	name, options, _ := strings.Cut(config, ":")
	if name == "go" && options == "" {
		return startGo()
	}
	if name == "xla" && !hasXLA {
		return nil, fmt.Errorf("this program was built without cgo, so without XLA; install gcc if it is missing, and run \"make setup\" where XLA's plugin is, or set CGO_ENABLED=1")
	}
	if file := cutShort(config); file != "" {
		return nil, fmt.Errorf("%s is cut short; delete it, and \"make setup\" fetches it again", file)
	}
	prepare(config)
	return compute.NewWithConfig(config)
}

// cutShort returns a plugin of a configuration string that ends before its own table
// of contents, "" if there is none: where it is mapped the system would end the process.
func cutShort(config string) string {
	_, options, _ := strings.Cut(config, ":")
	plugin, _, _ := strings.Cut(options, ",")
	files := append(machine.Plugins(), plugin)
	for _, file := range files {
		if file != plugin && !strings.Contains(filepath.Base(file), plugin) {
			continue
		}
		f, err := elf.Open(file)
		if err == nil {
			f.Close()
		} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return file
		}
	}
	return ""
}
