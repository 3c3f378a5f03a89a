package export

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	graphs "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
	"rekindle/pkg/internal/python"
	"rekindle/pkg/model"
	"rekindle/pkg/nn"
)

// state is a network with weights and statistics that are all unlike those of
// a fresh one, so that nothing may be left out.
func state(name string, o model.Options) (*checkpoint.State, error) {
	net, err := model.New(name, o)
	if err != nil {
		return nil, err
	}
	s := &checkpoint.State{Cursor: checkpoint.Cursor{Epoch: 4}}
	s.Config.Model, s.Config.ModelFeatures, s.Config.ModelBilinear, s.Config.ModelDepth, s.Config.Degradation = name, o.Features, o.Bilinear, o.Depth, "gaussian"
	values := net.Init(5)
	r := rand.New(rand.NewPCG(1, 2))
	for i, e := range net.Entries() {
		v := values[e.Name]
		if len(e.Shape) == 1 || strings.HasSuffix(e.Name, ".beta") || strings.HasSuffix(e.Name, ".gamma") {
			for k := range v {
				v[k] += float32(0.3 * (r.Float64() - 0.5))
			}
		}
		tensor := checkpoint.Tensor{Name: e.Name, Shape: e.Shape, Values: v}
		if tensor.IsCounter() {
			tensor.Count = int64(100 + i)
		}
		s.Model = append(s.Model, tensor)
	}
	return s, nil
}

// kinds are the networks that can be written as ONNX, in both ways of upsampling.
func kinds() (out []model.Network) {
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		for _, bilinear := range []bool{true, false} {
			depth := 3
			if name == "nafnet" {
				depth = 1
			}
			net, err := model.New(name, model.Options{Features: 4, Bilinear: bilinear, Depth: depth})
			if err != nil {
				panic(err)
			}
			if bilinear || slices.ContainsFunc(out, func(other model.Network) bool { return other.Name == name && other.Options != net.Options }) {
				out = append(out, *net)
			}
		}
	}
	return out
}

// job is one batch of pictures through one network, by this library and, from
// files, by another program.
type job struct {
	Model  string    `json:"model"`
	Shape  [4]int    `json:"shape"`
	Input  string    `json:"input"`
	Sigma  []float32 `json:"sigma"`
	Output string    `json:"output"`
	want   []float32
}

// jobs exports every network and restores pictures of several sizes with it:
// the smallest, sides that are odd on every level, and a batch.
var jobs = sync.OnceValues(func() (list []job, err error) {
	dir, err := os.MkdirTemp("", "rekindle-export-")
	if err != nil {
		return nil, err
	}
	jobsDir = dir
	engine, err := backend.Open("go")
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(3, 4))
	for i, kind := range kinds() {
		net, err := model.New(kind.Name, kind.Options)
		if err != nil {
			return nil, err
		}
		s, err := state(kind.Name, kind.Options)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(dir, fmt.Sprintf("%d_%s.onnx", i, kind.Name))
		if err := ONNX(s, path); err != nil {
			return nil, err
		}
		values := map[string][]float32{}
		for _, t := range s.Model {
			values[t.Name] = t.Values
		}
		for _, shape := range [][4]int{{1, 3, 16, 16}, {2, 3, 31, 47}, {1, 3, 48, 66}} {
			x := make([]float32, 3*shape[0]*shape[2]*shape[3])
			for k := range x {
				x[k] = float32(2*r.Float64() - 1)
			}
			base := filepath.Join(dir, fmt.Sprintf("%d_%d", i, len(list)))
			j := job{Model: path, Shape: shape, Input: base + ".in", Output: base + ".out"}
			if net.TakesSigma() {
				for k := range shape[0] {
					j.Sigma = append(j.Sigma, float32(10+30*k))
				}
			}
			if j.want, err = forward(engine.Backend, net, values, x, shape, j.Sigma); err != nil {
				return nil, err
			}
			raw, err := binary.Append(nil, binary.LittleEndian, x)
			if err != nil {
				return nil, err
			}
			if err := os.WriteFile(j.Input, raw, 0o666); err != nil {
				return nil, err
			}
			list = append(list, j)
		}
	}
	return list, nil
})

// forward is what the network makes of a batch.
func forward(on compute.Backend, net *model.Network, values map[string][]float32, x []float32, shape [4]int, sigma []float32) ([]float32, error) {
	var names []string
	args := []any{tensors.FromFlatDataAndDimensions(x, shape[:]...)}
	if sigma != nil {
		args = append(args, tensors.FromFlatDataAndDimensions(sigma, len(sigma)))
	}
	first := len(args)
	for _, e := range net.Entries() {
		if e.Role != nn.Counter {
			names, args = append(names, e.Name), append(args, tensors.FromFlatDataAndDimensions(values[e.Name], e.Shape...))
		}
	}
	exec, err := graphs.NewExec(on, func(in []*graphs.Node) *graphs.Node {
		bound := map[string]*graphs.Node{}
		for i, name := range names {
			bound[name] = in[first+i]
		}
		var level *graphs.Node
		if sigma != nil {
			level = in[1]
		}
		return net.Forward(nn.NewScope(in[0].Graph(), false, bound), in[0], level)
	})
	if err != nil {
		return nil, err
	}
	out, err := exec.Call(args...)
	if err != nil {
		return nil, err
	}
	return tensors.MustCopyFlatData[float32](out[0]), nil
}

var jobsDir string

func TestMain(m *testing.M) {
	code := m.Run()
	if jobsDir != "" {
		os.RemoveAll(jobsDir)
	}
	os.Exit(code)
}

// compare lets another program do the jobs and looks at what comes out.
func compare(t *testing.T, run func(jobs string) string) {
	t.Helper()
	list, err := jobs()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "jobs.json")
	if err := os.WriteFile(file, raw, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, j := range list {
		os.Remove(j.Output) // an earlier program's
	}
	if said := run(file); !strings.HasSuffix(said, "ok") {
		t.Fatalf("the program said %q", said)
	}
	for _, j := range list {
		raw, err := os.ReadFile(j.Output)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) != 4*len(j.want) {
			t.Fatalf("%s, %v: %d bytes came out, want %d numbers", filepath.Base(j.Model), j.Shape, len(raw), len(j.want))
		}
		worst, spread := 0.0, 0.0
		for i, want := range j.want {
			got := math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			if off := math.Abs(float64(got) - float64(want)); off > worst || math.IsNaN(off) {
				worst = off
			}
			spread = max(spread, math.Abs(float64(want)-float64(j.want[0])))
		}
		t.Logf("%-24s %v: largest difference %.1e, values spread over %.2f", filepath.Base(j.Model), j.Shape, worst, spread)
		if !(worst < 1e-5) || spread < 0.05 {
			t.Errorf("%s, %v: the result differs by up to %g among values that spread over %g", filepath.Base(j.Model), j.Shape, worst, spread)
		}
	}
}

// TestPyTorchComputesWhatTheNetworkDoes interprets the exported files with
// PyTorch's operations.
func TestPyTorchComputesWhatTheNetworkDoes(t *testing.T) {
	python.With(t, "torch")
	compare(t, func(jobs string) string { return python.Run(t, "torch", "testdata/run_onnx.py", jobs) })
}

func TestONNXRuntimeComputesWhatTheNetworkDoes(t *testing.T) {
	python.With(t, "onnxruntime")
	compare(t, func(jobs string) string { return python.Run(t, "onnxruntime", "testdata/run_ort.py", jobs) })
}

// TestTheCheckerOfONNXAcceptsEveryNetwork asks the format's own library.
func TestTheCheckerOfONNXAcceptsEveryNetwork(t *testing.T) {
	python.With(t, "onnx")
	list, err := jobs()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, j := range list {
		if !slices.Contains(files, j.Model) {
			files = append(files, j.Model)
		}
	}
	python.Run(t, "onnx", "testdata/check_onnx.py", files...)
}
