package model

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
	"rekindle/pkg/internal/reference"
	"rekindle/pkg/loss"
	"rekindle/pkg/nn"
	"rekindle/pkg/optim"
)

// bounds are the tolerances that the reference data's README advises, relative
// to the largest value of a tensor unless it says otherwise. Float64 has the
// column for the stored (float32) SSIM window, which package loss uses.
type bounds struct {
	eval, train, loss1, grad1, stats, loss23, norm23 float64
	final99, finalMax                                float64 // absolute: 99% of the values, and all
	moments                                          float64 // 0: not a test
}

var advised = map[bool]bounds{
	false: {eval: 2e-5, train: 6e-5, loss1: 5e-6, grad1: 3e-4, stats: 1e-5, loss23: 3e-3, norm23: 2e-2, final99: 1e-3, finalMax: 6e-3},
	true:  {eval: 1e-11, train: 1e-10, loss1: 1e-11, grad1: 1e-9, stats: 1e-11, loss23: 1e-10, norm23: 1e-10, final99: 1e-9, finalMax: 1e-9, moments: 1e-9},
}

var cases = []struct {
	file, init, name string
	options          Options
	double           bool
}{
	{"f64_unet_bilinear_f2", "", "unet", Options{Features: 2, Bilinear: true}, true},
	{"f64_unet_transposed_f2", "", "unet", Options{Features: 2, Bilinear: false}, true},
	{"f64_unet_residual_transposed_f2", "", "unet_residual", Options{Features: 2, Bilinear: false}, true},
	{"f64_attention_unet_f2", "", "attention_unet_bottleneck", Options{Features: 2, Bilinear: true}, true},
	{"unet_bilinear_f8", "", "unet", Options{Features: 8, Bilinear: true}, false},
	{"unet_transposed_f8", "", "unet", Options{Features: 8, Bilinear: false}, false},
	{"unet_residual_bilinear_f8", "unet_bilinear_f8", "unet_residual", Options{Features: 8, Bilinear: true}, false},
	{"attention_unet_f8", "", "attention_unet_bottleneck", Options{Features: 8, Bilinear: true}, false},
}

func TestNetworksAreTheOriginals(t *testing.T) {
	for _, c := range cases {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			net, err := New(c.name, c.options)
			if err != nil {
				t.Fatal(err)
			}
			ref := reference.Load(t, c.file+".safetensors")
			start := ref
			if c.init != "" {
				start = reference.Load(t, c.init+".safetensors")
			}
			var faults []string
			if c.double {
				faults = compare[float64](t, net, ref, start, advised[true], optim.Default())
			} else {
				faults = compare[float32](t, net, ref, start, advised[false], optim.Default())
			}
			complain(t, faults)
		})
	}
}

// complain fails the test for the first twenty faults.
func complain(t *testing.T, faults []string) {
	t.Helper()
	for i, f := range faults {
		if i == 20 {
			t.Errorf("and %d more", len(faults)-i)
			break
		}
		t.Error(f)
	}
}

// run holds the arrays of one reference case on their way through three steps.
type run[T float32 | float64] struct {
	t          *testing.T
	engine     compute.Backend
	net        *Network
	weights    []nn.Entry
	statistics []nn.Entry
	values     map[string]*tensors.Tensor
	faults     []string
}

func tensorOf[T float32 | float64](r reference.Tensor) *tensors.Tensor {
	data := make([]T, len(r.Data))
	for i, v := range r.Data {
		data[i] = T(v)
	}
	return tensors.FromFlatDataAndDimensions(data, r.Shape...)
}

func (r *run[T]) exec(f func(s *nn.Scope, weights, extra []*graph.Node) []*graph.Node, training bool, extra ...*tensors.Tensor) []*tensors.Tensor {
	r.t.Helper()
	names := append(append([]nn.Entry{}, r.weights...), r.statistics...)
	exec, err := graph.NewExec(r.engine, func(in []*graph.Node) []*graph.Node {
		values := map[string]*graph.Node{}
		for i, e := range names {
			values[e.Name] = in[i]
		}
		return f(nn.NewScope(in[0].Graph(), training, values), in[:len(r.weights)], in[len(names):])
	})
	if err != nil {
		r.t.Fatal(err)
	}
	var args []any
	for _, e := range names {
		args = append(args, r.values[e.Name])
	}
	for _, x := range extra {
		args = append(args, x)
	}
	out, err := exec.Call(args...)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// near compares a tensor with a whole or a sampled reference, relative to its
// largest value.
func (r *run[T]) near(name string, got *tensors.Tensor, ref map[string]reference.Tensor, bound float64) {
	r.t.Helper()
	data := tensors.MustCopyFlatData[T](got)
	want, whole := ref[name]
	sampled, ok := ref["sampled."+name]
	if !whole && !ok {
		r.t.Fatalf("no reference for %s", name)
	}
	if whole {
		largest, off := 0.0, 0.0
		for i, w := range want.Data {
			largest = math.Max(largest, math.Abs(w))
			off = math.Max(off, math.Abs(w-float64(data[i])))
		}
		if !(off <= bound*largest) {
			r.fault("%s differs by %.2g of its largest value, advised %.2g", name, off/largest, bound)
		}
		return
	}
	s := sampled.Data
	largest := math.Max(math.Abs(s[3]), math.Abs(s[4]))
	k := len(s) - 5
	for i := range k {
		if at := i * len(data) / k; !(math.Abs(s[5+i]-float64(data[at])) <= bound*largest) {
			r.fault("%s[%d] is %v, want %v (advised %.2g of %.2g)", name, at, data[at], s[5+i], bound, largest)
		}
	}
	norm := 0.0
	for _, v := range data {
		norm += float64(v) * float64(v)
	}
	if norm = math.Sqrt(norm); !(math.Abs(norm-s[0]) <= bound*math.Max(s[0], largest)) {
		r.fault("%s has norm %v, want %v", name, norm, s[0])
	}
}

// scalar compares relative to the largest value of the tensor that want is from.
func (r *run[T]) scalar(name string, got *tensors.Tensor, want, bound float64, of []float64) {
	largest := 0.0
	for _, v := range of {
		largest = math.Max(largest, math.Abs(v))
	}
	if v := float64(tensors.ToScalar[T](got)); !(math.Abs(v-want) <= bound*largest) {
		r.fault("%s is %.15g, want %.15g (advised %.2g)", name, v, want, bound)
	}
}

func (r *run[T]) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// hasNoGradient tells biases in front of a batch norm, whose gradient is
// mathematically zero.
func hasNoGradient(name string) bool {
	return strings.HasSuffix(name, ".W_g.0.bias") || strings.HasSuffix(name, ".W_x.0.bias") || strings.HasSuffix(name, ".psi.0.bias")
}

// compare checks everything a reference case holds and returns what differs.
func compare[T float32 | float64](t *testing.T, net *Network, ref, start map[string]reference.Tensor, b bounds, o optim.AdamW) []string {
	engine, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	r := &run[T]{t: t, engine: engine.Backend, net: net, weights: net.Weights(), values: map[string]*tensors.Tensor{}}
	for _, e := range net.Entries() {
		if e.Role == nn.Counter {
			continue
		}
		init, ok := start["init."+e.Name]
		if !ok {
			t.Fatalf("the reference has no %s", e.Name)
		}
		if fmt.Sprint(init.Shape) != fmt.Sprint(e.Shape) {
			t.Fatalf("%s has shape %v, PyTorch's is %v", e.Name, e.Shape, init.Shape)
		}
		r.values[e.Name] = tensorOf[T](init)
		if e.Role == nn.Statistic {
			r.statistics = append(r.statistics, e)
		}
	}
	input, target := tensorOf[T](ref["input"]), tensorOf[T](ref["target"])
	combined := loss.Combined{Alpha: 0.84, Beta: 0.16}
	evaluate := func(s *nn.Scope, _, x []*graph.Node) []*graph.Node {
		y := net.Forward(s, x[0], nil)
		if len(x) == 1 {
			return []*graph.Node{y}
		}
		total, l1, ssim := combined.Graph(y, x[1])
		return []*graph.Node{y, total, l1, ssim}
	}
	out := r.exec(evaluate, false, input, target)
	r.near("eval_output", out[0], ref, b.eval)
	for i, what := range []string{"loss", "L1", "SSIM"} {
		r.scalar("eval "+what, out[1+i], ref["eval_loss"].Data[i], b.loss1, ref["eval_loss"].Data)
	}
	r.near("odd_eval_output", r.exec(evaluate, false, tensorOf[T](ref["odd_input"]))[0], ref, b.eval)

	first, second := make([]*tensors.Tensor, len(r.weights)), make([]*tensors.Tensor, len(r.weights))
	for i, e := range r.weights {
		size := r.values[e.Name].Size()
		first[i] = tensors.FromFlatDataAndDimensions(make([]T, size), e.Shape...)
		second[i] = tensors.FromFlatDataAndDimensions(make([]T, size), e.Shape...)
	}
	for step := range 3 {
		bound := b.loss1
		if step > 0 {
			bound = b.loss23
		}
		var extra []*tensors.Tensor
		for _, v := range o.Scalars(int64(step+1), 1e-3) {
			extra = append(extra, tensors.FromScalar(T(v)))
		}
		extra = append(append(append(extra, input, target), first...), second...)
		n := len(r.weights)
		out := r.exec(func(s *nn.Scope, weights, x []*graph.Node) []*graph.Node {
			y := net.Forward(s, x[3], nil)
			total, l1, ssim := combined.Graph(y, x[4])
			// Gradients flow back through y as well, to be compared alone.
			grads := graph.Gradient(total, append([]*graph.Node{y}, weights...)...)
			p, m, v, norm := o.Update([3]*graph.Node(x[:3]), weights, grads[1:], x[5:5+n], x[5+n:])
			out := []*graph.Node{total, l1, ssim, norm, y}
			for _, e := range r.statistics {
				out = append(out, s.Updates()[e.Name])
			}
			return append(append(append(append(out, grads...), p...), m...), v...)
		}, true, extra...)
		losses := ref["step_losses"].Data[3*step:]
		for i, what := range []string{"loss", "L1", "SSIM"} {
			r.scalar(fmt.Sprintf("%s of step %d", what, step+1), out[i], losses[i], bound, ref["step_losses"].Data)
		}
		if step > 0 {
			r.scalar(fmt.Sprintf("gradient norm of step %d", step+1), out[3], ref["step_grad_norms_preclip"].Data[step], b.norm23, ref["step_grad_norms_preclip"].Data)
		} else {
			r.scalar("gradient norm of step 1", out[3], ref["step_grad_norms_preclip"].Data[0], b.grad1, ref["step_grad_norms_preclip"].Data)
			r.near("train_output", out[4], ref, b.train)
		}
		out = out[5:]
		for i, e := range r.statistics {
			if step == 0 {
				r.near("after_first_forward."+e.Name, out[i], ref, b.stats)
			}
			r.values[e.Name] = out[i]
		}
		out = out[len(r.statistics):]
		if step == 0 {
			r.near("train_output_grad", out[0], ref, b.grad1)
			for i, e := range r.weights {
				if hasNoGradient(e.Name) {
					for _, v := range tensors.MustCopyFlatData[T](out[1+i]) {
						if math.Abs(float64(v)) > 1e-8 {
							r.fault("gradient of %s is %v, want zero", e.Name, v)
						}
					}
					continue
				}
				r.near("grad."+e.Name, out[1+i], ref, b.grad1)
			}
		}
		out = out[1+n:]
		for i, e := range r.weights {
			r.values[e.Name], first[i], second[i] = out[i], out[n+i], out[2*n+i]
		}
	}
	r.compareFinal(ref, b)
	if b.moments > 0 {
		for i, e := range r.weights {
			if !hasNoGradient(e.Name) {
				r.near("exp_avg."+e.Name, first[i], ref, b.moments)
				r.near("exp_avg_sq."+e.Name, second[i], ref, b.moments)
			}
		}
		r.near("final_eval_output", r.exec(evaluate, false, input)[0], ref, 1e-7)
	}
	return r.faults
}

// compareFinal judges parameters absolutely: Adam moves a parameter whose
// gradient is near zero by up to the learning rate either way.
func (r *run[T]) compareFinal(ref map[string]reference.Tensor, b bounds) {
	count, far := 0, 0
	for _, e := range r.weights {
		if hasNoGradient(e.Name) {
			continue
		}
		data := tensors.MustCopyFlatData[T](r.values[e.Name])
		check := func(got T, want float64) {
			off := math.Abs(float64(got) - want)
			count++
			if !(off <= b.final99) {
				far++
			}
			if !(off <= b.finalMax) {
				r.fault("final %s holds %v, want %v", e.Name, got, want)
			}
		}
		if want, ok := ref["final."+e.Name]; ok {
			for i, w := range want.Data {
				check(data[i], w)
			}
		} else if s := ref["sampled.final."+e.Name].Data; len(s) > 5 {
			k := len(s) - 5
			for i := range k {
				check(data[i*len(data)/k], s[5+i])
			}
		} else {
			r.t.Fatalf("no reference for final.%s", e.Name)
		}
	}
	if far*100 > count {
		r.fault("%d of %d final parameters differ by more than %g", far, count, b.final99)
	}
}
