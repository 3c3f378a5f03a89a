package backend

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/machine"
)

func TestAutoFallsBackToGo(t *testing.T) {
	if machine.HasGPU() {
		t.Skip("this machine has a GPU: auto does not fall back here")
	}
	os.Unsetenv("GOMLX_BACKEND")
	engine, err := Open("auto")
	if err != nil {
		t.Fatal(err)
	}
	t.Log(engine.Choice)
	if engine.Choice.Why == "" {
		t.Error("the choice does not say why")
	}
}

func TestTheEnvironmentVariableDecides(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "go")
	engine, err := Open("cuda")
	if err != nil {
		t.Fatal(err)
	}
	if engine.Choice.Name != "go" || !strings.Contains(engine.Choice.Why, "GOMLX_BACKEND") {
		t.Errorf("got %v, want go because of GOMLX_BACKEND", engine.Choice)
	}
	for _, bad := range []string{"abacus", "go:speed=9", "xla:/no/such/plugin.so"} {
		t.Setenv("GOMLX_BACKEND", bad)
		if _, err := Open("auto"); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("GOMLX_BACKEND=%s: got error %v, want one that names it", bad, err)
		}
	}
}

type manyDevices struct {
	compute.Backend
	n int
}

func (m manyDevices) NumDevices() int { return m.n }

func TestABatchIsDividedOverAllDevicesOnRequest(t *testing.T) {
	for _, c := range []struct {
		key     string
		n, want int
	}{{"one", 4, 0}, {"all", 4, 4}, {"all", 1, 0}} {
		if got := (&Engine{Backend: manyDevices{n: c.n}}).Divide(c.key); got != c.want {
			t.Errorf("Devices %q with %d devices: divided by %d, want %d", c.key, c.n, got, c.want)
		}
	}
}

func TestTheChoiceSaysWhatDidNotStart(t *testing.T) {
	fails := map[string]error{
		"absent": errors.New(`Plugin "cuda" for backend "xla" not found: available plugins found ["cpu"]`),
		"none":   errors.New(`no plugins found for backend "xla" -- either use the absolute path`),
		"broken": errors.New("failed to load PJRT plugin: libcudart.so.13: cannot open shared object file\nwith a stack\nof lines"),
		"wordy":  errors.New(strings.Repeat("ä", 5000)),
	}
	start := func(name string) (compute.Backend, error) { return nil, fails[name] }
	for _, c := range []struct {
		names []string
		want  Choice
	}{
		{[]string{"works", "broken"}, Choice{"works", "a GPU"}},
		{[]string{"absent", "none", "works"}, Choice{"works", "a GPU; absent: no plugin found; none: no plugin found"}},
		{[]string{"broken", "works"}, Choice{"works", "a GPU; broken: failed to load PJRT plugin: libcudart.so.13: cannot open shared object file"}},
		{[]string{"wordy", "works"}, Choice{"works", "a GPU; wordy: " + strings.Repeat("ä", 200) + "…"}},
	} {
		engine, err := first(start, "a GPU", c.names...)
		if err != nil || engine.Choice != c.want {
			t.Errorf("%v: got %+v, %v; want %v", c.names, engine, err, c.want)
		}
	}
	if _, err := first(start, "a GPU", "none", "broken"); !errors.Is(err, fails["broken"]) || !strings.Contains(err.Error(), "broken does not start") {
		t.Errorf("nothing starts: got %v, want the error of the last", err)
	}
}

// go-xla reads the search path when the program starts, hence a second one.
func TestABrokenPluginIsTheReason(t *testing.T) {
	if !hasXLA {
		t.Skip("built without XLA")
	}
	const alone = "REKINDLE_TEST_ALONE"
	if os.Getenv(alone) != "" {
		engine, err := Open("cpu")
		fmt.Println(engine.Choice, err)
		return
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "pjrt_c_api_cpu_plugin.so")
	self, err := os.ReadFile(os.Args[0]) // of the kind that the system maps
	if err != nil {
		t.Fatal(err)
	}
	short := file + " is cut short; delete it"
	for text, want := range map[string]string{"no library, but a page of a hotel": "a plugin file does not load", "": short, string(self[:100]): short, string(self[:len(self)/2]): short} {
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), alone+"=1", "PJRT_PLUGIN_LIBRARY_PATH="+dir, "GOMLX_BACKEND=")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), `Device is "cpu"; xla:cpu: `+want) {
			t.Errorf("%d bytes: %v, want %q\n%s", len(text), err, want, out)
		}
	}
}

func TestUnknownDeviceIsRefused(t *testing.T) {
	if _, err := Open("tpu"); err == nil || !strings.Contains(err.Error(), `"tpu"`) {
		t.Errorf("got %v, want an error naming the device", err)
	}
}

// With the engine's default settings this never ends: each product holds a
// worker and waits for one.
func TestManyIndependentMatrixProductsDoNotDeadlock(t *testing.T) {
	engine, err := Open("go")
	if err != nil {
		t.Fatal(err)
	}
	exec, err := graph.NewExec(engine.Backend, func(g *graph.Graph) *graph.Node {
		var sum *graph.Node
		for i := range 100 {
			m := graph.AddScalar(graph.IotaFull(g, shapes.Make(dtypes.Float32, 300, 300)), float32(i))
			p := graph.ReduceAllSum(graph.Dot(m, m).Product())
			if sum == nil {
				sum = p
			} else {
				sum = graph.Add(sum, p)
			}
		}
		return sum
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		var err error
		for range 3 {
			if _, e := exec.Call(); e != nil {
				err = e
			}
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(3 * time.Minute):
		t.Fatal("100 independent matrix products did not finish in three minutes: the engine is deadlocked")
	}
}

func TestOutOfMemoryIsRecognised(t *testing.T) {
	for text, want := range map[string]bool{
		"PJRT error (code=8): RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123 bytes": true,
		"DefaultCPUAllocator: can't allocate memory":                                                true,
		"Failed to determine best cudnn convolution algorithm":                                      true,
		"shapes do not match": false,
	} {
		if got := IsOutOfMemory(errors.New(text)); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	if IsOutOfMemory(nil) {
		t.Error("no error is not out of memory")
	}
}

func TestEnginesConvolve(t *testing.T) {
	for _, device := range []string{"go", "cpu"} {
		engine, err := Open(device)
		if err != nil {
			t.Fatal(err)
		}
		for _, format := range []dtypes.DType{dtypes.Float32, dtypes.BFloat16} {
			if err := Convolve(engine.Backend, format); err != nil {
				t.Errorf("%s, %s: %v", engine.Choice.Name, format, err)
			}
		}
	}
	if err := Convolve(fails{}, dtypes.BFloat16); err == nil || !strings.Contains(err.Error(), "no such algorithm") {
		t.Errorf("an engine that cannot: got %v, want its words", err)
	}
}

// fails is an engine whose programs do not compile.
type fails struct{ compute.Backend }

func (fails) Builder(string) compute.Builder { panic(errors.New("no such algorithm")) }

func TestTheFreeMemoryIsThatOfTheGPUsInUse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "nvidia-smi"), []byte("#!/bin/sh\nprintf '80000, 50\\n80000, 700\\n80000, 9\\n'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("CUDA_VISIBLE_DEVICES", "1,0,2")
	for _, c := range []struct {
		config string
		n      int
		want   int64 // MB
	}{
		{"", 1, 700},
		{"", 2, 50},
		{"", 3, 9},
		{"", 4, 0},
		{"xla:cuda,visible_devices=2;0", 1, 9},
		{"xla:cuda,tf32=false,visible_devices=1", 1, 50},
		{"xla:cuda,preallocate=true,visible_devices=1", 1, 0},
	} {
		t.Setenv("GOMLX_BACKEND", c.config)
		if got := FreeOnGPU(c.n) / machine.MB; got != c.want {
			t.Errorf("%q, %d GPUs: %d MB free, want %d", c.config, c.n, got, c.want)
		}
	}
}
