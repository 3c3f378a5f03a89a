package model

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
	"rekindle/pkg/internal/python"
	"rekindle/pkg/internal/reference"
	"rekindle/pkg/nn"
)

// What PyTorch computed, see testdata/family.py.
const familyFile = "family.safetensors"

type familyCase struct {
	name, network string
	options       Options
}

var family = []familyCase{
	{"dncnn", "dncnn", Options{Features: 4, Depth: 5}},
	{"dncnn_grey", "dncnn", Options{Features: 4, Channels: 1}},
	{"dncnn_merged", "dncnn_merged", Options{Features: 4, Depth: 5}},
	{"ffdnet", "ffdnet", Options{Features: 5, Depth: 4}},
	{"ffdnet_merged", "ffdnet_merged", Options{Features: 5, Depth: 4}},
	{"drunet", "drunet", Options{Features: 3, Depth: 2}},
	{"nafnet", "nafnet", Options{Features: 3, Depth: 1}},
	{"nafnet_published", "nafnet", Options{Features: 2}},
	{"ridnet", "ridnet", Options{Features: 16, Depth: 2}},
}

// formula is what family.py calls value: the same numbers there and here.
func formula(tensor int, shape ...int) *tensors.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	v := make([]float64, n)
	for k := range v {
		v[k] = float64((k*k*7+k*5+tensor*tensor*31+tensor*17+3)%8191)/4095.5 - 1
	}
	return tensors.FromFlatDataAndDimensions(v, shape...)
}

// weightsByFormula are those that family.py gives to a network.
func weightsByFormula(net *Network) map[string]*tensors.Tensor {
	values := map[string]*tensors.Tensor{}
	for _, e := range net.Entries() {
		if e.Role == nn.Counter {
			continue
		}
		t := formula(len(values), e.Shape...)
		scale, offset := 0.2, 0.0
		switch {
		case len(e.Shape) == 4 && (e.Shape[0] > 1 || e.Shape[2] > 1):
			scale = math.Sqrt(3 / float64(e.Shape[1]*e.Shape[2]*e.Shape[3]))
		case len(e.Shape) == 4:
			scale = 0.5
		case strings.HasSuffix(e.Name, "running_var"):
			scale, offset = 0.5, 1
		case strings.HasSuffix(e.Name, "weight"):
			scale, offset = 0.3, 1
		}
		v := tensors.MustCopyFlatData[float64](t)
		for i := range v {
			v[i] = offset + scale*v[i]
		}
		values[e.Name] = tensors.FromFlatDataAndDimensions(v, e.Shape...)
	}
	return values
}

func TestTheFamilyComputesWhatPyTorchDoes(t *testing.T) {
	ref := reference.LoadFile(t, filepath.Join("testdata", familyFile))
	engine, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range family {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			net, err := New(c.network, c.options)
			if err != nil {
				t.Fatal(err)
			}
			r := &run[float64]{t: t, engine: engine.Backend, net: net, weights: net.Weights(), values: weightsByFormula(net)}
			for _, e := range net.Entries() {
				if e.Role == nn.Statistic {
					r.statistics = append(r.statistics, e)
				}
			}
			sigma := func(levels ...float64) *tensors.Tensor {
				return tensors.FromFlatDataAndDimensions(levels, len(levels))
			}
			forward := func(s *nn.Scope, _, x []*graph.Node) []*graph.Node {
				return []*graph.Node{net.Forward(s, x[0], x[1])}
			}
			ch := net.Options.Channels
			picture, slope := formula(1000, 2, ch, 16, 24), formula(1001, 2, ch, 16, 24)
			c.compare(t, ref, "eval", r.exec(forward, false, picture, sigma(25, 50))[0])
			c.compare(t, ref, "odd", r.exec(forward, false, formula(1002, 1, ch, 19, 37), sigma(15))[0])
			gradients := r.exec(func(s *nn.Scope, weights, x []*graph.Node) []*graph.Node {
				y := net.Forward(s, x[0], x[1])
				return graph.Gradient(graph.ReduceAllSum(graph.Mul(y, x[2])), append([]*graph.Node{x[0]}, weights...)...)
			}, true, picture, sigma(25, 50), slope)
			c.compare(t, ref, "input", gradients[0])
			rows := ref[c.name+"/gradients"]
			if rows.Shape[0] != len(r.weights) {
				t.Fatalf("%d parameters, PyTorch's has %d", len(r.weights), rows.Shape[0])
			}
			for i, e := range r.weights {
				c.near(t, "the gradient of "+e.Name, rows.Data[5*i:5*i+5], gradients[1+i])
			}
		})
	}
}

func (c familyCase) compare(t *testing.T, ref map[string]reference.Tensor, what string, got *tensors.Tensor) {
	t.Helper()
	c.near(t, what, ref[c.name+"/"+what].Data, got)
}

// near compares norm, sum and values from all over a tensor, relative to the norm.
func (c familyCase) near(t *testing.T, what string, want []float64, got *tensors.Tensor) {
	t.Helper()
	data := tensors.MustCopyFlatData[float64](got)
	norm, sum := 0.0, 0.0
	for _, v := range data {
		norm, sum = norm+v*v, sum+v
	}
	norm = math.Sqrt(norm)
	k := len(want) - 2
	off := max(math.Abs(norm-want[0]), math.Abs(sum-want[1])/math.Sqrt(float64(len(data))))
	for i := range k {
		off = max(off, math.Abs(data[i*len(data)/k]-want[2+i]))
	}
	if !(off <= 1e-9*want[0]) {
		t.Errorf("%s: off by %.2g of its norm %g", what, off/want[0], want[0])
	}
}

// With PyTorch at hand: the numbers are still those that the script writes.
func TestTheScriptStillWritesTheFamilysNumbers(t *testing.T) {
	dir := t.TempDir()
	python.Run(t, "torch", "testdata/family.py", dir)
	again, kept := reference.LoadFile(t, filepath.Join(dir, familyFile)), reference.LoadFile(t, filepath.Join("testdata", familyFile))
	if len(again) != len(kept) {
		t.Errorf("it writes %d tensors now, wrote %d", len(again), len(kept))
	}
	for name, want := range kept {
		for i, v := range want.Data {
			if off := math.Abs(v - again[name].Data[i]); !(off <= 1e-8*(1+math.Abs(v))) {
				t.Errorf("%s: number %d is %g now, was %g", name, i, again[name].Data[i], v)
			}
		}
	}
}
