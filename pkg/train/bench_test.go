package train

import (
	"fmt"
	"math"
	"testing"

	"rekindle/pkg/dataset"
	"rekindle/pkg/loss"
	"rekindle/pkg/model"
	"rekindle/pkg/optim"
	"rekindle/pkg/train/step"
)

// BenchmarkStep measures whole optimizer steps, clipping, running statistics
// and measures included, and evaluation, at two sizes.
func BenchmarkStep(b *testing.B) {
	for _, c := range []struct{ features, batch, patch int }{{16, 8, 64}, {32, 4, 128}} {
		net, err := model.New("unet", model.Options{Features: c.features, Bilinear: true})
		if err != nil {
			b.Fatal(err)
		}
		e, err := step.New(goEngine(b), net, loss.Combined{Alpha: 0.84, Beta: 0.16}, optim.Default(), step.Options{})
		if err != nil {
			b.Fatal(err)
		}
		n := c.batch * 3 * c.patch * c.patch
		batch := &dataset.Batch{N: c.batch, Size: c.patch, Degraded: make([]float32, n), Clean: make([]float32, n)}
		for i := range n {
			batch.Degraded[i], batch.Clean[i] = float32(math.Sin(float64(i))), float32(math.Cos(float64(i)/50))
		}
		name := fmt.Sprintf("features=%d,batch=%d,patch=%d", c.features, c.batch, c.patch)
		b.Run("train/"+name, func(b *testing.B) {
			at := e.Upload(fresh(net, 1))
			step := int64(0)
			for b.Loop() {
				step++
				next, _, err := e.Advance(at, e.Input(batch, 0), 0, step, 1e-4)
				if err != nil {
					b.Fatal(err)
				}
				at.Release()
				at = next
			}
		})
		b.Run("evaluate/"+name, func(b *testing.B) {
			at := e.Upload(fresh(net, 1))
			for b.Loop() {
				if _, err := e.Evaluate(at, e.Input(batch, 0), false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
