package loss

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/backend"
	"rekindle/pkg/internal/python"
	"rekindle/pkg/loss/vgg"
)

// What PyTorch computed, see testdata/perceptual.py.
type perceptualData struct {
	PredStep   int `json:"pred_step"`
	TargetStep int `json:"target_step"`
	Cases      []perceptualCase
}

type perceptualCase struct {
	Shape     []int
	Loss      float64
	GradNorm  float64 `json:"grad_norm"`
	GradSum   float64 `json:"grad_sum"`
	GradMax   float64 `json:"grad_max"`
	GradEvery int     `json:"grad_every"`
	Grad      []float64
}

func perceptualReference(t *testing.T) (d perceptualData) {
	t.Helper()
	raw, err := os.ReadFile("testdata/perceptual.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func smallVGG(t *testing.T) *vgg.Weights {
	t.Helper()
	w, err := vgg.Open("testdata/vgg_small.pth")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// formula is the picture of perceptual.py.
func formula(shape []int, step int) []float64 {
	out := make([]float64, shape[0]*shape[1]*shape[2]*shape[3])
	for i := range out {
		out[i] = float64((i*i*7+i*step)%8191)/4096 - 1
	}
	return out
}

// seen computes a function of two pictures and its gradient by the first.
func seen[T float32 | float64](t *testing.T, shape []int, a, b []float64, f func(pred, target *graph.Node) *graph.Node) (value float64, gradient []float64) {
	t.Helper()
	engine, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	exec, err := graph.NewExec(engine.Backend, func(a, b *graph.Node) []*graph.Node {
		y := f(a, b)
		return []*graph.Node{y, graph.Gradient(y, a)[0]}
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Call(narrow[T](a, shape), narrow[T](b, shape))
	if err != nil {
		t.Fatal(err)
	}
	return widen[T](out[0])[0], widen[T](out[1])
}

// away is how far value and gradient are from PyTorch's, relative to the largest.
func (c perceptualCase) away(value float64, gradient []float64) float64 {
	worst := math.Abs(value-c.Loss) / c.Loss
	var sum, squares float64
	for _, g := range gradient {
		sum, squares = sum+g, squares+g*g
	}
	worst = max(worst, math.Abs(math.Sqrt(squares)-c.GradNorm)/c.GradNorm, math.Abs(sum-c.GradSum)/c.GradNorm)
	for i, want := range c.Grad {
		worst = max(worst, math.Abs(gradient[i*c.GradEvery]-want)/c.GradMax)
	}
	return worst
}

func TestThePerceptualLossAndItsGradientArePyTorchs(t *testing.T) {
	ref, weights := perceptualReference(t), smallVGG(t)
	if len(ref.Cases) < 4 {
		t.Fatalf("%d cases, want 4", len(ref.Cases))
	}
	alone := func(pred, target *graph.Node) *graph.Node { return perceptual(weights, pred, target) }
	for _, c := range ref.Cases {
		a, b := formula(c.Shape, ref.PredStep), formula(c.Shape, ref.TargetStep)
		value, gradient := seen[float64](t, c.Shape, a, b, alone)
		if off := c.away(value, gradient); off > 1e-9 || math.IsNaN(off) {
			t.Errorf("%v: %.3g away from PyTorch's in float64, want 1e-9; loss %v, want %v", c.Shape, off, value, c.Loss)
		}
		value, gradient = seen[float32](t, c.Shape, a, b, alone)
		if off := c.away(value, gradient); off > 3e-4 || math.IsNaN(off) {
			t.Errorf("%v: %.3g away from PyTorch's in float32, want 3e-4", c.Shape, off)
		}
	}
}

// A loss that is slightly wrong must not pass the comparison.
func TestThePerceptualComparisonSeesMistakes(t *testing.T) {
	ref := perceptualReference(t)
	c := ref.Cases[0]
	a, b := formula(c.Shape, ref.PredStep), formula(c.Shape, ref.TargetStep)
	mean := imageNetMean
	defer func() { imageNetMean = mean }()
	for name, spoil := range map[string]func(w *vgg.Weights){
		"mean of another colour": func(*vgg.Weights) { imageNetMean[0] = 0.486 },
		"a weight of conv3_3":    func(w *vgg.Weights) { w[6].Weight[5] += 1e-3 },
		"a bias of conv1_1":      func(w *vgg.Weights) { w[0].Bias[0] += 1e-4 },
	} {
		imageNetMean = mean
		weights := smallVGG(t)
		spoil(weights)
		value, gradient := seen[float64](t, c.Shape, a, b, func(pred, target *graph.Node) *graph.Node { return perceptual(weights, pred, target) })
		if off := c.away(value, gradient); off < 1e-8 {
			t.Errorf("%s: only %.3g away", name, off)
		}
	}
}

func TestEqualPicturesLookTheSameAndPullNowhere(t *testing.T) {
	weights, shape := smallVGG(t), []int{2, 3, 17, 20}
	a := formula(shape, 5)
	value, gradient := seen[float32](t, shape, a, a, func(pred, target *graph.Node) *graph.Node { return perceptual(weights, pred, target) })
	if value != 0 {
		t.Errorf("the loss is %g, want 0", value)
	}
	for i, g := range gradient {
		if g != 0 {
			t.Fatalf("gradient %d is %g, want 0 as in PyTorch", i, g)
		}
	}
}

func TestGammaAddsThePerceptualLossToTheOthers(t *testing.T) {
	ref := perceptualReference(t)
	c := ref.Cases[0]
	a, b := formula(c.Shape, ref.PredStep), formula(c.Shape, ref.TargetStep)
	with := func(gamma float64) (total float64, gradient []float64) {
		l := Combined{Alpha: 0.6, Beta: 0.25, Gamma: gamma}
		if gamma > 0 {
			l.VGG = smallVGG(t)
		}
		return seen[float64](t, c.Shape, a, b, func(pred, target *graph.Node) *graph.Node {
			total, _, _ := l.Graph(pred, target)
			return total
		})
	}
	plain, _ := with(0)
	mixed, gradient := with(0.15)
	if off := mixed - plain - 0.15*c.Loss; math.Abs(off) > 1e-12 {
		t.Errorf("0.15 adds %g, want %g", mixed-plain, 0.15*c.Loss)
	}
	_, without := with(0)
	for i, want := range c.Grad {
		j := i * c.GradEvery
		if got := gradient[j] - without[j]; math.Abs(got-0.15*want) > 1e-9*c.GradMax {
			t.Fatalf("0.15 adds %g to gradient %d, want %g", got, j, 0.15*want)
		}
	}
}

// PyTorch writes the same files again where it is installed.
func TestTheScriptStillWritesTheseNumbers(t *testing.T) {
	dir := t.TempDir()
	python.Run(t, "torch", "testdata/perceptual.py", dir)
	var again perceptualData
	raw, err := os.ReadFile(dir + "/perceptual.json")
	if err == nil {
		err = json.Unmarshal(raw, &again)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range perceptualReference(t).Cases {
		if off := math.Abs(again.Cases[i].Loss - c.Loss); off > 1e-12 {
			t.Errorf("%v: the loss is %v now, was %v", c.Shape, again.Cases[i].Loss, c.Loss)
		}
	}
}
