package loss

import (
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"rekindle/pkg/backend"
	"rekindle/pkg/internal/reference"
)

// The formulations for the engines; both must run on each.
var formulations = map[string]blur{"multiply": {window, multiply, spreadMultiply}, "shift": {window, shift, spreadShift}}

var weights = Combined{Alpha: 0.84, Beta: 0.16} // of the reference data

type pair struct {
	name     string
	Shape    []int
	SSIM     float64 `json:"loss_ssim"`
	SSIM64   float64 `json:"loss_ssim_float64"`
	Combined struct{ Total, L1, SSIM float64 }
	Half     float64 `json:"combined_a0.5_b2"`

	pred, target []float64 // in [-1, 1]
	// Where one image is constant PyTorch's float32 loses up to 1.2e-4 by cancellation.
	constant bool
}

func pairs(t testing.TB) (list []pair, tensors map[string]reference.Tensor) {
	t.Helper()
	var all map[string]pair
	reference.JSON(t, "losses_metrics.json", &all)
	tensors = reference.Load(t, "losses_metrics.safetensors")
	for name, p := range all {
		size := p.Shape[0] * p.Shape[1] * p.Shape[2] * p.Shape[3]
		spread := func(values []float64) []float64 {
			out := make([]float64, size)
			for i := range out {
				out[i] = 2*values[i%len(values)] - 1
			}
			p.constant = p.constant || len(values) == 1
			return out
		}
		p.name, p.pred, p.target = name, spread(tensors[name+".a"].Data), spread(tensors[name+".b"].Data)
		list = append(list, p)
	}
	if len(list) < 12 {
		t.Fatalf("the reference has %d pairs, want at least 12", len(list))
	}
	return list, tensors
}

type result struct {
	total, l1, ssim float64
	gradTotal       []float64 // of total by pred
	gradSSIM        []float64 // of SSIM by pred
}

// evaluate runs the loss in float32 or float64.
func evaluate[T float32 | float64](t testing.TB, c Combined, f similarity, pred, target []float64, shape []int) result {
	t.Helper()
	engine, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	exec, err := graph.NewExec(engine.Backend, func(a, b *graph.Node) []*graph.Node {
		total, l1, ssim := c.graph(a, b, f)
		return []*graph.Node{total, l1, ssim, graph.Gradient(total, a)[0], graph.Gradient(ssim, a)[0]}
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Call(narrow[T](pred, shape), narrow[T](target, shape))
	if err != nil {
		t.Fatal(err)
	}
	scalar := func(i int) float64 { return widen[T](out[i])[0] }
	return result{scalar(0), scalar(1), scalar(2), widen[T](out[3]), widen[T](out[4])}
}

func narrow[T float32 | float64](v []float64, shape []int) *tensors.Tensor {
	out := make([]T, len(v))
	for i, x := range v {
		out[i] = T(x)
	}
	return tensors.FromFlatDataAndDimensions(out, shape...)
}

func widen[T float32 | float64](t *tensors.Tensor) []float64 {
	values := tensors.MustCopyFlatData[T](t)
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

// relative is the largest difference, in units of want's largest value (at least floor).
func relative(got, want []float64, floor float64) float64 {
	off := 0.0
	for i := range want {
		off = math.Max(off, math.Abs(got[i]-want[i]))
		floor = math.Max(floor, math.Abs(want[i]))
	}
	return off / floor
}

// disagreement is how far the loss is from PyTorch's values and gradients, in
// units of the advised tolerances, and where.
func disagreement(t testing.TB, f similarity, p pair, ref map[string]reference.Tensor) (worst float64, where string) {
	t.Helper()
	got := evaluate[float32](t, weights, f, p.pred, p.target, p.Shape)
	half := evaluate[float32](t, Combined{Alpha: 0.5, Beta: 2}, f, p.pred, p.target, p.Shape)
	note := func(what string, v float64) {
		if v > worst || math.IsNaN(v) {
			worst, where = v, what
		}
	}
	tolerance := 1e-5
	if p.constant {
		tolerance = 3e-4
	}
	note("total", math.Abs(got.total-p.Combined.Total)/tolerance)
	note("L1", math.Abs(got.l1-p.Combined.L1)/1e-5)
	note("SSIM", math.Abs(got.ssim-p.SSIM)/tolerance)
	note("0.5 L1 + 2 (1-SSIM)", math.Abs(half.total-p.Half)/(2*tolerance))
	// Advised for gradients; those of equal images are 0 but for PyTorch's rounding.
	const ofLargest, rounding = 3e-4, 1e-4
	if want, ok := ref[p.name+".combined_grad_pred"]; ok && !p.constant {
		note("gradient of the total", relative(got.gradTotal, want.Data, rounding)/ofLargest)
	}
	if want, ok := ref[p.name+".loss_ssim_grad_a"]; ok {
		doubled := make([]float64, len(got.gradSSIM)) // by a: pred is 2a-1
		for i, v := range got.gradSSIM {
			doubled[i] = 2 * v
		}
		note("gradient of the SSIM", relative(doubled, want.Data, rounding)/ofLargest)
	}
	return worst, where
}

func TestLossesAndGradientsArePyTorchs(t *testing.T) {
	list, ref := pairs(t)
	for name, b := range formulations {
		for _, p := range list {
			if worst, where := disagreement(t, standard(b), p, ref); !(worst <= 1) {
				t.Errorf("%s: %s: %s is %.3g times the tolerance away", name, p.name, where, worst)
			}
		}
	}
}

// In float64 nothing hides behind rounding: the SSIM must be PyTorch's in the
// way its window fails to add up to 1, too.
func TestInFloat64TheSSIMIsPyTorchsToTheLastDigits(t *testing.T) {
	list, _ := pairs(t)
	for name, b := range formulations {
		for _, p := range list {
			got := evaluate[float64](t, weights, standard(b), p.pred, p.target, p.Shape)
			if math.Abs(got.ssim-p.SSIM64) > 1e-11 {
				t.Errorf("%s: %s: SSIM is %.14g, want %.14g", name, p.name, got.ssim, p.SSIM64)
			}
		}
	}
}

func TestInFloat64TheGradientOfANetworksOutputIsPyTorchs(t *testing.T) {
	for _, name := range []string{"f64_unet_bilinear_f2", "f64_unet_transposed_f2", "f64_unet_residual_transposed_f2", "f64_attention_unet_f2"} {
		ref := reference.Load(t, name+".safetensors")
		output := ref["train_output"]
		for formulation, b := range formulations {
			got := evaluate[float64](t, weights, standard(b), output.Data, ref["target"].Data, output.Shape)
			want := ref["step_losses"].Data[:3]
			if off := relative([]float64{got.total, got.l1, got.ssim}, want, 0); off > 1e-11 {
				t.Errorf("%s: %s: total, L1, SSIM are %v %v %v, want %v", name, formulation, got.total, got.l1, got.ssim, want)
			}
			if off := relative(got.gradTotal, ref["train_output_grad"].Data, 0); off > 1e-9 {
				t.Errorf("%s: %s: the gradient differs by %.3g of its largest value", name, formulation, off)
			}
		}
	}
}

// A loss that is slightly wrong must not pass the comparison.
func TestTheComparisonSeesMistakes(t *testing.T) {
	list, ref := pairs(t)
	gaussian := func(sigma float64) (w [taps]float32) {
		total := 0.0
		for i := range w {
			total += math.Exp(-float64((i-5)*(i-5)) / (2 * sigma * sigma))
		}
		for i := range w {
			w[i] = float32(math.Exp(-float64((i-5)*(i-5))/(2*sigma*sigma)) / total)
		}
		return w
	}
	box := [taps]float32{}
	nine := gaussian(1.5)
	scale := 1 / (1 - 2*nine[0])
	for i := range box {
		box[i] = 1.0 / taps
		nine[i] *= scale
	}
	nine[0], nine[10] = 0, 0
	good := standard(formulations["multiply"])
	for name, spoil := range map[string]func(*similarity){
		"standard deviation 1.4": func(f *similarity) { f.window = gaussian(1.4) },
		"standard deviation 1.6": func(f *similarity) { f.window = gaussian(1.6) },
		"a box":                  func(f *similarity) { f.window = box },
		"a window of 9":          func(f *similarity) { f.window = nine },
		"K1 0.02":                func(f *similarity) { f.c1 = 0.02 * 0.02 },
		"K2 0.02":                func(f *similarity) { f.c2 = 0.02 * 0.02 },
		"a data range of 2":      func(f *similarity) { f.c1, f.c2 = 4*f.c1, 4*f.c2 },
	} {
		f := good
		spoil(&f)
		largest := 0.0
		for _, p := range list {
			worst, _ := disagreement(t, f, p, ref)
			if largest = math.Max(largest, worst); largest >= 10 {
				break
			}
		}
		if largest < 10 {
			t.Errorf("%s nearly passes: it is only %.3g times the tolerance away", name, largest)
		}
	}
	f := good
	f.window = gaussian(1.5) // built in float64, narrowed: not PyTorch's last digit
	largest := 0.0
	for _, p := range list {
		largest = math.Max(largest, math.Abs(evaluate[float64](t, weights, f, p.pred, p.target, p.Shape).ssim-p.SSIM64))
	}
	if largest < 1e-10 {
		t.Errorf("a window of other roundings passes in float64: %.3g away", largest)
	}
}

func TestEqualImagesHaveNoLossAndNoGradient(t *testing.T) {
	shape := []int{3, 3, 40, 36}
	x := make([]float64, 3*3*40*36)
	for i := range x {
		x[i] = math.Sin(float64(i) * 0.7)
	}
	got := evaluate[float32](t, weights, standard(formulations["multiply"]), x, x, shape)
	if got.total != 0 || got.ssim != 1 {
		t.Errorf("total is %g and SSIM %g, want 0 and 1", got.total, got.ssim)
	}
	for i, v := range got.gradTotal {
		if v != 0 {
			t.Fatalf("gradient %d is %g, want 0", i, v)
		}
	}
}

// Sums of hundreds of thousands of float32 lose digits when they are added one by one.
func TestLargeBatchesKeepTheirDigits(t *testing.T) {
	shape := []int{2, 3, 256, 256}
	x, y := make([]float64, 2*3*256*256), make([]float64, 2*3*256*256)
	for i := range x {
		x[i], y[i] = float64(float32(math.Sin(float64(i)*0.7))), float64(float32(0.9*math.Sin(float64(i)*0.7+0.1)))
	}
	f := standard(formulations["multiply"])
	got, want := evaluate[float32](t, weights, f, x, y, shape), evaluate[float64](t, weights, f, x, y, shape)
	if math.Abs(got.l1/want.l1-1) > 5e-7 || math.Abs(got.ssim/want.ssim-1) > 5e-7 {
		t.Errorf("in float32 L1 and SSIM are %.9g and %.9g, in float64 %.9g and %.9g", got.l1, got.ssim, want.l1, want.ssim)
	}
}

// Mixed precision may hand over half precision: the loss must be that of the
// rounded values, not a loss computed with 8 bits of mantissa.
func TestHalfPrecisionIsWidened(t *testing.T) {
	engine, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	list, _ := pairs(t)
	for _, half := range []dtypes.DType{dtypes.BFloat16, dtypes.Float16} {
		for _, p := range list {
			exec, err := graph.NewExec(engine.Backend, func(a, b *graph.Node) []*graph.Node {
				a, b = graph.ConvertDType(a, half), graph.ConvertDType(b, half)
				total, l1, ssim := weights.Graph(a, b)
				wide := func(x *graph.Node) *graph.Node { return graph.ConvertDType(x, dtypes.Float32) }
				wideTotal, wideL1, wideSSIM := weights.Graph(wide(a), wide(b))
				return []*graph.Node{total, l1, ssim, wideTotal, wideL1, wideSSIM}
			})
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Call(narrow[float32](p.pred, p.Shape), narrow[float32](p.target, p.Shape))
			if err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				if out[i].DType() != dtypes.Float32 {
					t.Fatalf("%s: of %s images the loss is %s, want Float32", p.name, half, out[i].DType())
				}
				if got, want := widen[float32](out[i])[0], widen[float32](out[i+3])[0]; got != want {
					t.Errorf("%s: of %s images result %d is %v, want %v", p.name, half, i, got, want)
				}
			}
		}
	}
}

func TestNaNIsNeverHidden(t *testing.T) {
	shape := []int{1, 3, 16, 16}
	x, y := make([]float64, 3*16*16), make([]float64, 3*16*16)
	x[0] = math.NaN() // a corner, which weighs next to nothing in the SSIM
	got := evaluate[float32](t, weights, standard(formulations["multiply"]), x, y, shape)
	if !math.IsNaN(got.total) || !math.IsNaN(got.l1) || !math.IsNaN(got.ssim) {
		t.Errorf("total, L1, SSIM of an image with a NaN are %g %g %g, want NaN", got.total, got.l1, got.ssim)
	}
}

// The gradient by the target is no part of the reference: by symmetry it is
// that by pred of the exchanged images.
func TestGradientsFlowToBothImages(t *testing.T) {
	list, _ := pairs(t)
	engine, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		exec, err := graph.NewExec(engine.Backend, func(a, b *graph.Node) *graph.Node {
			total, _, _ := weights.Graph(a, b)
			return graph.Gradient(total, b)[0]
		})
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Call(narrow[float64](p.target, p.Shape), narrow[float64](p.pred, p.Shape))
		if err != nil {
			t.Fatal(err)
		}
		want := evaluate[float64](t, weights, standard(formulations["multiply"]), p.pred, p.target, p.Shape)
		if off := relative(widen[float64](out[0]), want.gradTotal, 1e-6); off > 1e-9 {
			t.Errorf("%s: the gradient by the target differs by %.3g", p.name, off)
		}
	}
}

func TestXLAIsSparedMatrixProducts(t *testing.T) {
	// Functions cannot be compared: they are told apart by what they build.
	engine, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	products := func(name string) (count int) {
		g := graph.NewGraph(engine.Backend, name)
		x := graph.Parameter(g, "x", narrow[float32](make([]float64, 400), []int{1, 20, 20}).Shape())
		y := blurFor(name).forward(x)
		blurFor(name).backward(y, 20, 20)
		for _, node := range g.Nodes() {
			if node.Type() == graph.NodeTypeDotGeneral {
				count++
			}
		}
		return count
	}
	if n := products("xla"); n != 0 {
		t.Errorf("on xla the blur has %d matrix products, which would run in TF32; want none", n)
	}
	if n := products(engine.Name()); n != 4 {
		t.Errorf("on the Go engine the blur and its gradient are %d matrix products, want 4", n)
	}
}

func BenchmarkCombinedWithGradient(b *testing.B) {
	engine, err := backend.Open("go")
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		n, side int
	}{{"8x64", 8, 64}, {"4x128", 4, 128}, {"16x128", 16, 128}} {
		b.Run(c.name, func(b *testing.B) {
			exec, err := graph.NewExec(engine.Backend, func(p, q *graph.Node) []*graph.Node {
				total, _, _ := weights.Graph(p, q)
				return []*graph.Node{total, graph.Gradient(total, p)[0]}
			})
			if err != nil {
				b.Fatal(err)
			}
			x := make([]float64, c.n*3*c.side*c.side)
			for i := range x {
				x[i] = math.Sin(float64(i))
			}
			shape := []int{c.n, 3, c.side, c.side}
			p, q := narrow[float32](x, shape), narrow[float32](make([]float64, len(x)), shape)
			for b.Loop() {
				if _, err := exec.Call(p, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Filled up with anything, a batch has the loss and the gradients of the images
// that are there, and none for the others.
func TestFillingUpABatchChangesNothing(t *testing.T) {
	engine, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	const there, n, side = 2, 5, 24
	values := func(phase float64) []float32 {
		out := make([]float32, n*3*side*side)
		for i := range out {
			out[i] = float32(math.Sin(phase + 1.7*float64(i)))
		}
		return out
	}
	pred, target := values(0), values(1)
	mask := tensors.FromFlatDataAndDimensions([]float32{1, 1, 0, 0, 0}, n)
	run := func(n int, padded bool) []*tensors.Tensor {
		exec, err := graph.NewExec(engine.Backend, func(a, b, m *graph.Node) []*graph.Node {
			total, l1, ssim := weights.Graph(a, b)
			if padded {
				total, l1, ssim = weights.Padded(a, b, m)
			}
			return []*graph.Node{total, l1, ssim, graph.Gradient(total, a)[0]}
		})
		if err != nil {
			t.Fatal(err)
		}
		image := 3 * side * side
		out, err := exec.Call(tensors.FromFlatDataAndDimensions(pred[:n*image], n, 3, side, side), tensors.FromFlatDataAndDimensions(target[:n*image], n, 3, side, side), mask)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	alone, filled := run(there, false), run(n, true)
	for i, what := range []string{"total", "L1", "SSIM"} {
		got, want := widen[float32](filled[i])[0], widen[float32](alone[i])[0]
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("%s is %g, want %g", what, got, want)
		}
	}
	got, want := widen[float32](filled[3]), widen[float32](alone[3])
	if off := relative(got[:len(want)], want, 0); off > 1e-5 {
		t.Errorf("the gradient of images that are there is off by %g", off)
	}
	for _, v := range got[len(want):] {
		if v != 0 {
			t.Fatalf("padding has a gradient of %g", v)
		}
	}
}

// With Charbonnier the loss is sqrt(d² + e²) - e, its gradient d / sqrt(d² + e²), and
// what is reported as L1 stays L1.
func TestCharbonnierIsRoundAtZero(t *testing.T) {
	shape := []int{1, 3, 2, 2}
	pred := []float64{0, 1e-3, -1e-3, 0.5, -0.5, 1, -1, 0.25, 0, 0, 0, 0}
	target := make([]float64, len(pred))
	const e, alpha = 1e-3, 0.5
	got := evaluate[float64](t, Combined{Alpha: alpha, Charbonnier: e}, standard(formulations["multiply"]), pred, target, shape)
	n := float64(len(pred))
	var want, l1 float64
	for i, d := range pred {
		want += alpha * (math.Sqrt(d*d+e*e) - e) / n
		l1 += math.Abs(d) / n
		if slope := alpha * d / math.Sqrt(d*d+e*e) / n; math.Abs(got.gradTotal[i]-slope) > 1e-12 {
			t.Errorf("the gradient at %g is %g, want %g", d, got.gradTotal[i], slope)
		}
	}
	if math.Abs(got.total-want) > 1e-12 || math.Abs(got.l1-l1) > 1e-12 {
		t.Errorf("total %g and L1 %g, want %g and %g", got.total, got.l1, want, l1)
	}
}
