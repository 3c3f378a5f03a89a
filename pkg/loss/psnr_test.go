package loss

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/backend"
)

func TestPSNROfABatchIsTheMeanOfItsImages(t *testing.T) {
	engine, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	// Two images of one value: errors of 0.2 and 0.02 in [-1, 1], one beyond the
	// range that is clamped to the right value, and one that does not count.
	pred := []float32{0.2, 0.02, 3, 0.9}
	target := []float32{0, 0, 1, -0.9}
	mask := []float32{1, 1, 1, 0}
	got := graph.MustExecOnce(engine.Backend, func(p, q, m *graph.Node) *graph.Node {
		image := func(x *graph.Node) *graph.Node { return graph.Reshape(x, 4, 1, 1, 1) }
		return PSNR(image(p), image(q), m)
	}, pred, target, mask)
	want := (20 + 40 + 100.0) / 3
	if v := float64(got.Value().(float32)); math.Abs(v-want) > 1e-3 {
		t.Errorf("got %.4f dB, want %.4f", v, want)
	}
}
