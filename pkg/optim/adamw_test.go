package optim

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
	"rekindle/pkg/internal/reference"
)

// advised by the reference data's README for AdamW in float32.
const tolerance = 1e-6

// run is a training of several parameters on given gradients.
type run struct {
	params        [][]float64 // after each step, parameters joined
	first, second []float64   // after the last
	norms         []float64   // of each step
}

// train runs AdamW from start, cut into parameters of the given shapes.
func train[T float32 | float64](t *testing.T, o AdamW, lr float64, start []float64, gradients [][]float64, shapes ...[]int) run {
	t.Helper()
	engine, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	n := len(shapes)
	exec, err := graph.NewExec(engine.Backend, func(in []*graph.Node) []*graph.Node {
		p, m, v, norm := o.Update([3]*graph.Node(in[:3]), in[3:3+n], in[3+n:3+2*n], in[3+2*n:3+3*n], in[3+3*n:])
		return append(append(append(p, m...), v...), norm)
	})
	if err != nil {
		t.Fatal(err)
	}
	state := append(append(cut[T](start, shapes), cut[T](make([]float64, len(start)), shapes)...), cut[T](make([]float64, len(start)), shapes)...)
	var r run
	for i, g := range gradients {
		s := o.Scalars(int64(i+1), lr)
		args := []any{T(s[0]), T(s[1]), T(s[2])}
		args = append(args, state[:n]...)
		args = append(args, cut[T](g, shapes)...)
		args = append(args, state[n:]...)
		out, err := exec.Call(args...)
		if err != nil {
			t.Fatal(err)
		}
		state = state[:0]
		for _, x := range out[:3*n] {
			state = append(state, x)
		}
		r.params = append(r.params, join[T](out[:n]))
		r.first, r.second = join[T](out[n:2*n]), join[T](out[2*n:3*n])
		r.norms = append(r.norms, join[T](out[3*n:])[0])
	}
	return r
}

func cut[T float32 | float64](values []float64, shapes [][]int) (out []any) {
	for _, shape := range shapes {
		size := 1
		for _, d := range shape {
			size *= d
		}
		part := make([]T, size)
		for i := range part {
			part[i] = T(values[i])
		}
		values = values[size:]
		out = append(out, tensors.FromFlatDataAndDimensions(part, shape...))
	}
	return out
}

func join[T float32 | float64](list []*tensors.Tensor) (out []float64) {
	for _, t := range list {
		for _, v := range tensors.MustCopyFlatData[T](t) {
			out = append(out, float64(v))
		}
	}
	return out
}

// worst is the largest difference, relative where want exceeds 1.
func worst(got, want []float64) float64 {
	w := 0.0
	for i := range want {
		off := math.Abs(got[i]-want[i]) / math.Max(1, math.Abs(want[i]))
		if math.IsNaN(off) {
			return math.Inf(1)
		}
		w = math.Max(w, off)
	}
	return w
}

type referenceCase struct {
	start     []float64
	gradients [][]float64
	tensors   map[string]reference.Tensor
}

func loadCase(t *testing.T) referenceCase {
	c := referenceCase{tensors: reference.Load(t, "layers.safetensors")}
	c.start = c.tensors["adamw.param0"].Data
	for i := range 5 {
		c.gradients = append(c.gradients, c.tensors["adamw.raw_grads"].Data[i*17:(i+1)*17])
	}
	return c
}

// clipped is how far a run is from PyTorch's with clipping at 1 and decay 1e-5.
func (c referenceCase) clipped(r run) float64 {
	w := 0.0
	for i, p := range r.params {
		w = math.Max(w, worst(p, c.tensors["adamw.params_after_each_step"].Data[i*17:(i+1)*17]))
	}
	w = math.Max(w, worst(r.first, c.tensors["adamw.exp_avg"].Data))
	w = math.Max(w, worst(r.second, c.tensors["adamw.exp_avg_sq"].Data))
	return math.Max(w, worst(r.norms, c.tensors["adamw.preclip_norms"].Data))
}

// decayed is how far a run is from PyTorch's with decay 0.1, rate 1e-2, no clipping.
func (c referenceCase) decayed(r run) float64 {
	w := 0.0
	for i, p := range r.params {
		w = math.Max(w, worst(p, c.tensors["adamw_wd0.1_lr1e-2_noclip.params_after_each_step"].Data[i*17:(i+1)*17]))
	}
	return w
}

func TestAdamWFollowsPyTorch(t *testing.T) {
	c := loadCase(t)
	strong := Default()
	strong.WeightDecay, strong.ClipNorm = 0.1, 0
	// The norm is that of all parameters together: cutting them changes nothing.
	for name, shapes := range map[string][][]int{"one vector": {{17}}, "three tensors": {{2, 3}, {1}, {2, 1, 5}}} {
		if w := c.clipped(train[float32](t, Default(), 1e-3, c.start, c.gradients, shapes...)); w > tolerance {
			t.Errorf("%s, clipping at 1: differs by %g", name, w)
		}
		if w := c.decayed(train[float32](t, strong, 1e-2, c.start, c.gradients, shapes...)); w > tolerance {
			t.Errorf("%s, weight decay 0.1: differs by %g", name, w)
		}
		// The reference is float32, its gradients are exact: float64 must land within float32's rounding.
		if w := c.clipped(train[float64](t, Default(), 1e-3, c.start, c.gradients, shapes...)); w > tolerance {
			t.Errorf("%s, in float64: differs by %g", name, w)
		}
	}
}

func TestTheNormIsTheSameForEveryEngine(t *testing.T) {
	engine, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	for _, shape := range [][]int{{}, {1}, {7}, {3, 5}, {4, 2, 3, 3}} {
		exec, err := graph.NewExec(engine.Backend, func(x *graph.Node) []*graph.Node {
			return []*graph.Node{squaresByProducts(x), squaresByReduction(x)}
		})
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float64, 72)
		want := 0.0
		x := cut[float64](values, [][]int{shape})[0].(*tensors.Tensor)
		for i := range x.Size() {
			values[i] = math.Sin(float64(i + 1))
			want += values[i] * values[i]
		}
		out, err := exec.Call(cut[float64](values, [][]int{shape})...)
		if err != nil {
			t.Fatal(err)
		}
		if w := worst(join[float64](out), []float64{want, want}); w > 1e-13 {
			t.Errorf("shape %v: the sums of squares are %v, want %v", shape, join[float64](out), want)
		}
	}
}

// An optimizer that is slightly wrong must not pass.
func TestTheComparisonSeesMistakes(t *testing.T) {
	c := loadCase(t)
	for name, spoil := range map[string]func(*AdamW){
		"epsilon 1e-4":     func(o *AdamW) { o.Epsilon = 1e-4 },
		"beta1 0.89":       func(o *AdamW) { o.Beta1 = 0.89 },
		"beta2 0.99":       func(o *AdamW) { o.Beta2 = 0.99 },
		"no clipping":      func(o *AdamW) { o.ClipNorm = 0 },
		"clipping at half": func(o *AdamW) { o.ClipNorm = 0.5 },
	} {
		o := Default()
		spoil(&o)
		if w := c.clipped(train[float32](t, o, 1e-3, c.start, c.gradients, []int{17})); w <= 2*tolerance {
			t.Errorf("%s nearly passes: differs by only %g", name, w)
		}
	}
	plain := Default()
	plain.WeightDecay, plain.ClipNorm = 0, 0
	if w := c.decayed(train[float32](t, plain, 1e-2, c.start, c.gradients, []int{17})); w <= 2*tolerance {
		t.Errorf("no weight decay nearly passes: differs by only %g", w)
	}
	// Coupled decay (Adam with an L2 penalty) adds the weights to the gradients.
	coupled := [][]float64{nil}
	for j, g := range c.gradients[0] {
		coupled[0] = append(coupled[0], g+0.1*c.start[j])
	}
	if w := c.decayed(train[float32](t, plain, 1e-2, c.start, coupled, []int{17})); w <= 2*tolerance {
		t.Errorf("coupled weight decay nearly passes: differs by only %g", w)
	}
}

func TestTheNormOfMillionsOfGradientsKeepsItsDigits(t *testing.T) {
	const out, rest = 512, 4608 // the largest convolution of a UNet with 64 features
	gradient := make([]float64, out*rest)
	want := 0.0
	for i := range gradient {
		gradient[i] = float64(float32(1e-3 * (1 + math.Sin(float64(i)))))
		want += gradient[i] * gradient[i]
	}
	want = math.Sqrt(want)
	r := train[float32](t, Default(), 1e-3, make([]float64, len(gradient)), [][]float64{gradient}, []int{out, rest / 9, 3, 3})
	if off := math.Abs(r.norms[0]/want - 1); off > 1e-6 {
		t.Errorf("the norm is %.9g, want %.9g: off by %.2g", r.norms[0], want, off)
	}
}

// The reference's gradients are too large to show a small error of epsilon. From
// zero moments one step is lr*g/(|g|+epsilon), half of lr where g is epsilon;
// an epsilon under the root, or one that is corrected for bias, gives another.
func TestEpsilonIsAddedToTheCorrectedRoot(t *testing.T) {
	o := Default()
	o.WeightDecay, o.ClipNorm = 0, 0
	for _, g := range []float64{1e-10, 1e-8, -1e-8, 1e-6, -3} {
		r := train[float64](t, o, 1e-3, []float64{0}, [][]float64{{g}}, []int{1})
		want := -1e-3 * g / (math.Abs(g) + 1e-8)
		if math.Abs(r.params[0][0]/want-1) > 1e-12 {
			t.Errorf("gradient %g moves by %.15g, want %.15g", g, r.params[0][0], want)
		}
	}
}

// The reference's norms are too large to show PyTorch's 1e-6 in clip/(norm + 1e-6).
func TestClippingDividesByALittleMoreThanTheNorm(t *testing.T) {
	o := Default()
	o.ClipNorm = 5e-4
	r := train[float64](t, o, 1e-3, []float64{0, 0}, [][]float64{{6e-4, -8e-4}}, []int{1}, []int{1})
	for i, g := range []float64{6e-4, -8e-4} {
		want := 0.1 * g * 5e-4 / (1e-3 + 1e-6) // the first moment after one step
		if math.Abs(r.first[i]/want-1) > 1e-12 {
			t.Errorf("the moment of gradient %g is %.15g, want %.15g", g, r.first[i], want)
		}
	}
}

// A batch without gradient moves nothing but by decay and momentum, and makes no NaN.
func TestZeroGradientsAreHarmless(t *testing.T) {
	start := []float64{1, -2, 0}
	r := train[float64](t, Default(), 1e-3, start, [][]float64{{0, 0, 0}}, []int{3})
	if w := worst(r.params[0], []float64{1 - 1e-8, -2 + 2e-8, 0}); w > 1e-15 || r.norms[0] != 0 {
		t.Errorf("parameters are %v and the norm %g, want decay alone and 0", r.params[0], r.norms[0])
	}
}

func BenchmarkUpdate(b *testing.B) {
	engine, err := backend.Open("go")
	if err != nil {
		b.Fatal(err)
	}
	// About the convolutions of a UNet with 16 features: a million weights.
	var shapes [][]int
	size := 0
	for _, c := range [][2]int{{3, 16}, {16, 16}, {16, 32}, {32, 32}, {32, 64}, {64, 64}, {64, 128}, {128, 128}, {128, 128}, {128, 128}, {256, 128}, {128, 64}, {128, 64}, {64, 32}} {
		shapes = append(shapes, []int{c[1], c[0], 3, 3})
		size += c[0] * c[1] * 9
	}
	values := make([]float64, size)
	for i := range values {
		values[i] = 0.01 * math.Sin(float64(i))
	}
	n := len(shapes)
	exec, err := graph.NewExec(engine.Backend, func(in []*graph.Node) []*graph.Node {
		p, m, v, norm := Default().Update([3]*graph.Node(in[:3]), in[3:3+n], in[3+n:3+2*n], in[3+2*n:3+3*n], in[3+3*n:])
		return append(append(append(p, m...), v...), norm)
	})
	if err != nil {
		b.Fatal(err)
	}
	args := []any{float32(1e-3), float32(0.1), float32(0.03)}
	for range 4 {
		args = append(args, cut[float32](values, shapes)...)
	}
	for b.Loop() {
		if _, err := exec.Call(args...); err != nil {
			b.Fatal(err)
		}
	}
}
