package nn

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
	"rekindle/pkg/internal/reference"
	"rekindle/pkg/nn/im2col"
	"rekindle/pkg/nn/lowering"
	"rekindle/pkg/nn/native"
)

// Advised for layers in float32, relative to the largest value of a tensor.
const (
	forwardTolerance  = 2e-5
	gradientTolerance = 3e-4
)

// Both lowerings run on the Go engine, native as for XLA on a processor.
var (
	columns  lowering.Interface = im2col.Lowering{}
	compiled lowering.Interface = native.Lowering{Processor: true}
	both                        = map[string]lowering.Interface{"im2col": columns, "native": compiled}
)

func engine(t testing.TB) compute.Backend {
	t.Helper()
	e, err := goEngine()
	if err != nil {
		t.Fatal(err)
	}
	return e.Backend
}

// goEngine is one for all tests: a tensor stays on the engine that it was given to.
var goEngine = sync.OnceValues(func() (*backend.Engine, error) { return backend.Open("go") })

func tensorOf(r reference.Tensor) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(r.Float32(), r.Shape...)
}

// outcome of a layer: output, gradients of input and of parameters in order,
// and running statistics.
type outcome struct {
	output, input *tensors.Tensor
	parameters    []*tensors.Tensor
	updates       map[string]*tensors.Tensor
}

// run computes a layer and its gradients, for a given gradient of the output, on
// the Go engine.
func run(t testing.TB, l lowering.Interface, training bool, f func(s *Scope, x Map) Map, names []string, values map[string]*tensors.Tensor, x, dy *tensors.Tensor) (o outcome, err error) {
	t.Helper()
	var updated []string
	exec, err := graph.NewExec(engine(t), func(in []*graph.Node) []*graph.Node {
		bound := map[string]*graph.Node{}
		for i, n := range names {
			bound[n] = in[2+i]
		}
		s := NewScope(in[0].Graph(), training, bound)
		s.lower = l
		y := s.Leave(f(s, s.Enter(in[0])))
		trained := []*graph.Node{in[0]}
		for i, n := range names {
			if !strings.Contains(n, "running") {
				trained = append(trained, in[2+i])
			}
		}
		out := []*graph.Node{y}
		if dy != nil {
			out = append(out, graph.Gradient(graph.ReduceAllSum(graph.Mul(y, in[1])), trained...)...)
		}
		updated = nil
		for _, n := range names {
			if u := s.Updates()[n]; u != nil {
				updated = append(updated, n)
				out = append(out, u)
			}
		}
		return out
	})
	if err != nil {
		return o, err
	}
	second := dy
	if second == nil {
		second = tensors.FromScalar(float32(0))
	}
	args := []any{x, second}
	for _, n := range names {
		args = append(args, values[n])
	}
	out, err := exec.Call(args...)
	if err != nil {
		return o, err
	}
	o.output, o.updates = out[0], map[string]*tensors.Tensor{}
	rest := out[1:]
	for i, n := range updated {
		o.updates[n] = rest[len(rest)-len(updated)+i]
	}
	if dy != nil {
		o.input, o.parameters = rest[0], rest[1:len(rest)-len(updated)]
	}
	return o, nil
}

// difference is the largest one, relative to the largest wanted value.
func difference(got *tensors.Tensor, want reference.Tensor) float64 {
	if fmt.Sprint(got.Shape().Dimensions) != fmt.Sprint(want.Shape) {
		return math.Inf(1)
	}
	data := tensors.MustCopyFlatData[float32](got)
	largest, off := 0.0, 0.0
	for i, w := range want.Data {
		largest = math.Max(largest, math.Abs(w))
		off = math.Max(off, math.Abs(w-float64(data[i])))
	}
	return off / largest
}

type layerCase struct {
	name  string
	f     func(s *Scope, x Map) Map
	names []string // of param0, param1
}

var layerCases = []layerCase{
	{"conv3x3_nobias", func(s *Scope, x Map) Map { return Conv3x3{Name: "c", In: 6, Out: 5}.Forward(s, x) }, []string{"c.weight"}},
	{"conv1x1_bias", func(s *Scope, x Map) Map { return Conv1x1{Name: "c", In: 6, Out: 5}.Forward(s, x) }, []string{"c.weight", "c.bias"}},
	{"convtranspose2x2s2_bias", func(s *Scope, x Map) Map { return Transposed{Name: "c", In: 6, Out: 5, Kernel: 2}.Forward(s, x) }, []string{"c.weight", "c.bias"}},
	{"convtranspose4x4s2p1_bias", func(s *Scope, x Map) Map { return Transposed{Name: "c", In: 6, Out: 5, Kernel: 4}.Forward(s, x) }, []string{"c.weight", "c.bias"}},
	{"maxpool2", MaxPool, nil},
	{"maxpool2_odd", MaxPool, nil},
	{"maxpool2_ties", MaxPool, nil},
	{"maxpool2_relu_zeros", MaxPool, nil},
	{"upsample2x_bilinear_aligncorners", Upsample, nil},
	{"upsample2x_bilinear_aligncorners_h1", Upsample, nil},
	{"resize_bilinear_noalign_to_odd", func(s *Scope, x Map) Map { return ResizeTo(s, x, 21, 29) }, nil},
	{"pad_up_diff_1_1", func(s *Scope, x Map) Map { return PadTo(s, x, 11, 15) }, nil},
	{"relu", ReLU, nil},
}

func TestLayersAndGradientsArePyTorchs(t *testing.T) {
	ref := reference.Load(t, "layers.safetensors")
	for how, l := range both {
		for _, c := range layerCases {
			values := map[string]*tensors.Tensor{}
			for i, n := range c.names {
				values[n] = tensorOf(ref[fmt.Sprintf("%s.param%d", c.name, i)])
			}
			o, err := run(t, l, true, c.f, c.names, values, tensorOf(ref[c.name+".input"]), tensorOf(ref[c.name+".grad_output"]))
			if err != nil {
				t.Errorf("%s, %s: %v", how, c.name, err)
				continue
			}
			if d := difference(o.output, ref[c.name+".output"]); !(d <= forwardTolerance) {
				t.Errorf("%s, %s: output differs by %.2g", how, c.name, d)
			}
			if d := difference(o.input, ref[c.name+".grad_input"]); !(d <= gradientTolerance) {
				t.Errorf("%s, %s: gradient of the input differs by %.2g", how, c.name, d)
			}
			for i, g := range o.parameters {
				if d := difference(g, ref[fmt.Sprintf("%s.grad_param%d", c.name, i)]); !(d <= gradientTolerance) {
					t.Errorf("%s, %s: gradient of parameter %d differs by %.2g", how, c.name, i, d)
				}
			}
		}
	}
}

// TestTheComparisonsSeeMistakes: a layer that is slightly wrong must not pass.
func TestTheComparisonsSeeMistakes(t *testing.T) {
	ref := reference.Load(t, "layers.safetensors")
	for what, c := range map[string]layerCase{
		"the other alignment": {"upsample2x_bilinear_aligncorners", func(s *Scope, x Map) Map { return ResizeTo(s, x, 20, 28) }, nil},
		"corners aligned where they are not": {"resize_bilinear_noalign_to_odd", func(s *Scope, x Map) Map {
			return s.lower.Resize(x, lowering.AlignedCorners(10, 21), lowering.AlignedCorners(14, 29))
		}, nil},
		"padding on the other side": {"pad_up_diff_1_1", func(s *Scope, x Map) Map { return s.lower.Pad(x, 1, 0, 1, 0) }, nil},
		"no padding of the convolution's border": {"conv3x3_nobias", func(s *Scope, x Map) Map {
			y := s.lower.Pad(Conv3x3{Name: "c", In: 6, Out: 5}.Forward(s, x), 1, 0, 0, 0)
			return ResizeTo(s, y, 10, 14)
		}, []string{"c.weight"}},
	} {
		values := map[string]*tensors.Tensor{}
		for i, n := range c.names {
			values[n] = tensorOf(ref[fmt.Sprintf("%s.param%d", c.name, i)])
		}
		o, err := run(t, columns, true, c.f, c.names, values, tensorOf(ref[c.name+".input"]), nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := difference(o.output, ref[c.name+".output"]); d <= forwardTolerance {
			t.Errorf("%s passes: differs by only %.2g", what, d)
		}
	}
	names, values := batchNormValues(ref)
	wrong := func(s *Scope, x Map) Map {
		y, _, _ := s.lower.BatchNorm(x, nil, s.value("n.weight"), s.value("n.bias"), 1e-3, false)
		return y
	}
	o, err := run(t, columns, true, wrong, names, values, tensorOf(ref["batchnorm.input"]), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := difference(o.output, ref["batchnorm.train.output"]); d <= gradientTolerance {
		t.Errorf("epsilon 1e-3 passes: differs by only %.2g", d)
	}
	// What the running mean would be with momentum 0.01.
	slow := reference.Tensor{Shape: []int{6}}
	for i, v := range ref["batchnorm.train.after1.running_mean"].Data {
		old := ref["batchnorm.init.running_mean"].Data[i]
		slow.Data = append(slow.Data, old+(v-old)/10)
	}
	if d := difference(tensorOf(slow), ref["batchnorm.train.after1.running_mean"]); d <= 1e-5 {
		t.Errorf("momentum 0.01 passes: differs by only %.2g", d)
	}
	// Biased running variance: what the reference holds is larger by n/(n-1), n = 2*10*14.
	biased := reference.Tensor{Shape: []int{6}}
	for i, v := range ref["batchnorm.train.after1.running_var"].Data {
		old := 0.9 * ref["batchnorm.init.running_var"].Data[i]
		biased.Data = append(biased.Data, old+(v-old)*279/280)
	}
	if d := difference(tensorOf(ref["batchnorm.train.after1.running_var"]), biased); d <= 1e-5 {
		t.Errorf("a biased running variance passes: differs by only %.2g", d)
	}
}

// batchNormValues are the first ones of a layer "n".
func batchNormValues(ref map[string]reference.Tensor) ([]string, map[string]*tensors.Tensor) {
	names := []string{"n.weight", "n.bias", "n.running_mean", "n.running_var"}
	values := map[string]*tensors.Tensor{}
	for _, n := range names {
		values[n] = tensorOf(ref["batchnorm.init."+strings.TrimPrefix(n, "n.")])
	}
	return names, values
}

// TestJoinedMapsComeInOrder: a convolution over two maps is that over their
// channels in the order given.
func TestJoinedMapsComeInOrder(t *testing.T) {
	ref := reference.Load(t, "layers.safetensors")
	halves := func(first, second int) func(s *Scope, x Map) Map {
		return func(s *Scope, x Map) Map {
			half := func(i int) Map {
				return s.Enter(graph.Slice(s.Leave(x), graph.AxisRange(), graph.AxisRange(3*i, 3*i+3)))
			}
			return Conv3x3{Name: "c", In: 6, Out: 5}.Forward(s, half(first), half(second))
		}
	}
	for _, c := range []struct {
		first, second int
		right         bool
	}{{0, 1, true}, {1, 0, false}} {
		o, err := run(t, columns, true, halves(c.first, c.second), []string{"c.weight"}, map[string]*tensors.Tensor{"c.weight": tensorOf(ref["conv3x3_nobias.param0"])},
			tensorOf(ref["conv3x3_nobias.input"]), tensorOf(ref["conv3x3_nobias.grad_output"]))
		if err != nil {
			t.Fatal(err)
		}
		if d := difference(o.output, ref["conv3x3_nobias.output"]); (d <= forwardTolerance) != c.right {
			t.Errorf("order %d, %d: output differs by %.2g", c.first, c.second, d)
		}
		if d := difference(o.input, ref["conv3x3_nobias.grad_input"]); (d <= gradientTolerance) != c.right {
			t.Errorf("order %d, %d: gradient differs by %.2g", c.first, c.second, d)
		}
	}
}

func TestBatchNormIsPyTorchs(t *testing.T) {
	for how, l := range both {
		t.Run(how, func(t *testing.T) { testBatchNorm(t, l) })
	}
}

func testBatchNorm(t *testing.T, l lowering.Interface) {
	ref := reference.Load(t, "layers.safetensors")
	names, values := batchNormValues(ref)
	norm := func(s *Scope, x Map) Map { return BatchNorm{"n", 6}.Forward(s, x, false) }
	input := ref["batchnorm.input"]
	for mode, training := range map[string]bool{"train": true, "eval": false} {
		o, err := run(t, l, training, norm, names, values, tensorOf(input), tensorOf(ref["batchnorm.grad_output"]))
		if err != nil {
			t.Fatal(err)
		}
		for what, got := range map[string]*tensors.Tensor{"output": o.output, "grad_input": o.input, "grad_weight": o.parameters[0], "grad_bias": o.parameters[1]} {
			if d := difference(got, ref["batchnorm."+mode+"."+what]); !(d <= gradientTolerance) {
				t.Errorf("%s: %s differs by %.2g", mode, what, d)
			}
		}
		if !training {
			if len(o.updates) > 0 {
				t.Error("evaluation changes the running statistics")
			}
			continue
		}
		for _, n := range names[2:] {
			if d := difference(o.updates[n], ref["batchnorm.train.after1."+strings.TrimPrefix(n, "n.")]); !(d <= 1e-5) {
				t.Errorf("%s after one update differs by %.2g", n, d)
			}
		}
		again := map[string]*tensors.Tensor{}
		for _, n := range names {
			again[n] = values[n]
			if u := o.updates[n]; u != nil {
				again[n] = u
			}
		}
		shifted := reference.Tensor{Shape: input.Shape}
		for _, v := range input.Data {
			shifted.Data = append(shifted.Data, 2*v+1)
		}
		o, err = run(t, l, true, norm, names, again, tensorOf(shifted), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names[2:] {
			if d := difference(o.updates[n], ref["batchnorm.train.after2_input_times2_plus1."+strings.TrimPrefix(n, "n.")]); !(d <= 1e-5) {
				t.Errorf("%s after two updates differs by %.2g", n, d)
			}
		}
	}
}

// TestBatchNormKeepsItsDigitsFarFromZero: the mean of squares less the square of
// the mean would leave nothing of the variance here.
func TestBatchNormKeepsItsDigitsFarFromZero(t *testing.T) {
	const mean = 1000
	x := make([]float32, 4*2*20*20)
	for i := range x {
		x[i] = mean + float32(math.Sin(float64(i)))
	}
	names := []string{"n.weight", "n.bias", "n.running_mean", "n.running_var"}
	values := map[string]*tensors.Tensor{}
	for i, n := range names {
		values[n] = tensors.FromFlatDataAndDimensions([]float32{float32(1 - i%2), float32(1 - i%2)}, 2)
	}
	o, err := run(t, columns, true, func(s *Scope, m Map) Map { return BatchNorm{"n", 2}.Forward(s, m, false) }, names, values,
		tensors.FromFlatDataAndDimensions(x, 4, 2, 20, 20), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range tensors.MustCopyFlatData[float32](o.output) {
		if want := math.Sin(float64(i)) / math.Sqrt(0.5); math.Abs(float64(v)-want) > 0.01 {
			t.Fatalf("value %d is %g, want about %g", i, v, want)
		}
	}
}

// TestAnyBatchAndSizeGivesTheSame compares both lowerings in training where
// batches do not divide into shards and maps are of any width.
func TestAnyBatchAndSizeGivesTheSame(t *testing.T) {
	names := []string{"c.weight", "n.weight", "n.bias", "n.running_mean", "n.running_var"}
	values := map[string]*tensors.Tensor{}
	fill := func(n int, scale float64) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(scale * math.Sin(float64(7*i+n)))
		}
		return v
	}
	values["c.weight"] = tensors.FromFlatDataAndDimensions(fill(4*3*9, 0.3), 4, 3, 3, 3)
	values["n.weight"] = tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 4}, 4)
	for _, n := range names[2:] {
		values[n] = tensors.FromFlatDataAndDimensions([]float32{0, 1, 0.5, 2}, 4)
	}
	layer := func(s *Scope, x Map) Map {
		return ConvNormReLU{Conv3x3{Name: "c", In: 3, Out: 4, Bias: false}, BatchNorm{"n", 4}}.Forward(s, x)
	}
	for _, d := range [][3]int{{1, 5, 7}, {3, 16, 16}, {7, 17, 40}, {5, 40, 17}, {2, 1, 1}, {6, 32, 31}, {1, 2, 64}} {
		n, h, w := d[0], d[1], d[2]
		x := tensors.FromFlatDataAndDimensions(fill(n*3*h*w, 1), n, 3, h, w)
		dy := tensors.FromFlatDataAndDimensions(fill(n*4*h*w, 1), n, 4, h, w)
		for _, training := range []bool{true, false} {
			a, err := run(t, columns, training, layer, names, values, x, dy)
			if err != nil {
				t.Fatalf("%v: %v", d, err)
			}
			b, err := run(t, compiled, training, layer, names, values, x, dy)
			if err != nil {
				t.Fatalf("%v native: %v", d, err)
			}
			pairs := [][2]*tensors.Tensor{{a.output, b.output}}
			if training {
				pairs = append(pairs, [2]*tensors.Tensor{a.input, b.input}, [2]*tensors.Tensor{a.parameters[0], b.parameters[0]},
					[2]*tensors.Tensor{a.updates["n.running_mean"], b.updates["n.running_mean"]}, [2]*tensors.Tensor{a.updates["n.running_var"], b.updates["n.running_var"]})
			}
			for i, p := range pairs {
				got, want := tensors.MustCopyFlatData[float32](p[0]), tensors.MustCopyFlatData[float32](p[1])
				largest := 0.0
				for _, v := range want {
					largest = math.Max(largest, math.Abs(float64(v)))
				}
				for j := range want {
					if math.Abs(float64(got[j]-want[j])) > gradientTolerance*largest {
						t.Errorf("batch %d of %dx%d, training %v, result %d: %g, native %g", n, h, w, training, i, got[j], want[j])
						break
					}
				}
			}
		}
	}
}

// TestPoolingIsTheSameInBothLowerings has windows with equal values in them, and
// a row and a column that belong to none.
func TestPoolingIsTheSameInBothLowerings(t *testing.T) {
	for _, d := range [][4]int{{2, 3, 4, 6}, {1, 4, 5, 7}, {3, 2, 2, 2}, {5, 1, 16, 9}} {
		n, c, h, w := d[0], d[1], d[2], d[3]
		values, slope := make([]float32, n*c*h*w), make([]float32, n*c*(h/2)*(w/2))
		for i := range values {
			values[i] = float32(i * i % 3)
		}
		for i := range slope {
			slope[i] = float32(i + 1)
		}
		x := tensors.FromFlatDataAndDimensions(values, n, c, h, w)
		dy := tensors.FromFlatDataAndDimensions(slope, n, c, h/2, w/2)
		var results [2]outcome
		for i, l := range []lowering.Interface{columns, compiled} {
			var err error
			results[i], err = run(t, l, true, MaxPool, nil, nil, x, dy)
			if err != nil {
				t.Fatal(err)
			}
		}
		for what, p := range map[string][2]*tensors.Tensor{"output": {results[0].output, results[1].output}, "gradient": {results[0].input, results[1].input}} {
			if want, got := tensors.MustCopyFlatData[float32](p[0]), tensors.MustCopyFlatData[float32](p[1]); !slices.Equal(got, want) {
				t.Errorf("%v: %s is %v, want %v", d, what, got, want)
			}
		}
	}
}

func TestTheSameBitsEveryTime(t *testing.T) {
	r := make([]float32, 64*64*9)
	for i := range r {
		r[i] = float32(math.Sin(float64(i * i)))
	}
	x := make([]float32, 6*64*40*40)
	for i := range x {
		x[i] = float32(math.Cos(float64(i) * 1.3))
	}
	first := []float32(nil)
	for range 4 {
		fresh := map[string]*tensors.Tensor{"c.weight": tensors.FromFlatDataAndDimensions(r, 64, 64, 3, 3)}
		o, err := run(t, columns, true, func(s *Scope, m Map) Map { return Conv3x3{Name: "c", In: 64, Out: 64, Bias: false}.Forward(s, m) }, []string{"c.weight"}, fresh,
			tensors.FromFlatDataAndDimensions(x, 6, 64, 40, 40), tensors.FromFlatDataAndDimensions(x, 6, 64, 40, 40))
		if err != nil {
			t.Fatal(err)
		}
		got := append(tensors.MustCopyFlatData[float32](o.output), tensors.MustCopyFlatData[float32](o.parameters[0])...)
		if first == nil {
			first = got
		}
		for i := range got {
			if got[i] != first[i] {
				t.Fatalf("value %d is %g, was %g before", i, got[i], first[i])
			}
		}
	}
}
