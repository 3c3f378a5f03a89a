//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && arm64))

package train

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/experiment"
	"rekindle/pkg/internal/dryrun"
	"rekindle/pkg/model"
)

// TestEveryComputationCanBeWrittenDownForXLA runs whole trainings on an engine
// that writes XLA's programs and computes zeros.
func TestEveryComputationCanBeWrittenDownForXLA(t *testing.T) {
	for _, name := range model.Names() {
		for _, bilinear := range []bool{true, false} {
			for _, amp := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s,bilinear=%v,amp=%v", name, bilinear, amp), func(t *testing.T) {
					cfg := tiny(t)
					cfg.Model, cfg.ModelBilinear, cfg.UseAMP = name, bilinear, amp
					cfg.NumEpochs, cfg.EMADecay = 1, 0.9
					for _, variant := range []string{"plain", "recomputing", "accumulating"} {
						cfg.GradientCheckpointing, cfg.AccumulationSteps = variant == "recomputing", 1
						if variant == "accumulating" {
							cfg.AccumulationSteps = 2
						}
						engine := dryrun.New(1)
						result, _ := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{Backend: engine, GPU: true})
						if result.Outcome != Completed {
							t.Fatalf("%s: ended as %q", variant, result.Outcome)
						}
						var all strings.Builder
						for _, p := range engine.Programs() {
							all.WriteString(p.Text)
						}
						// A step or its parts, evaluation, the average of the weights.
						want := 2 + cfg.AccumulationSteps
						if got := len(engine.Programs()); got != want {
							t.Errorf("%s: %d programs, want %d", variant, got, want)
						}
						if got := strings.Contains(all.String(), "bf16"); got != amp {
							t.Errorf("%s: bfloat16 in the programs: %v", variant, got)
						}
						ops := []string{"stablehlo.convolution"}
						if strings.Contains(name, "unet") {
							ops = append(ops, "select_and_scatter") // the gradient of pooling
						}
						for _, op := range ops {
							if !strings.Contains(all.String(), op) {
								t.Errorf("%s: no %s in the programs", variant, op)
							}
						}
					}
				})
			}
		}
	}
}

// TestABatchDividedOverDevicesIsWrittenDownForXLA: the program is that of the
// whole batch, and says that each device has a part of the pictures and all of
// the weights.
func TestABatchDividedOverDevicesIsWrittenDownForXLA(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs, cfg.AccumulationSteps, cfg.EMADecay = 1, 2, 0.9
	engine := dryrun.New(2)
	result, _ := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{Backend: engine, GPU: true, Devices: 2})
	if result.Outcome != Completed {
		t.Fatalf("ended as %q", result.Outcome)
	}
	for _, p := range engine.Programs() {
		if !strings.Contains(p.Text, "num_partitions = 2") || !strings.Contains(p.Text, "sdy.mesh") {
			t.Errorf("%s is not for two devices:\n%.300s", p.Name, p.Text)
		}
		head, _, _ := strings.Cut(p.Text, "->")
		divided := strings.Count(head, `"batch"}`)
		if pictures := strings.Count(head, "x3x16x16xf32"); divided != pictures+pictures/2 {
			t.Errorf("%s divides %d inputs, want %d pictures and their mask", p.Name, divided, pictures)
		}
	}
}

// TestTheProgramsForXLATrainAsTheGoEngine: PyTorch computes the very programs that
// XLA would be given, the last batch of an epoch filled up, and training goes as
// on the Go engine.
func TestTheProgramsForXLATrainAsTheGoEngine(t *testing.T) {
	engine := dryrun.WithPyTorch(t)
	same := func(name string, bilinear, amp bool) {
		t.Run(fmt.Sprintf("%s,bilinear=%v,amp=%v", name, bilinear, amp), func(t *testing.T) {
			cfg := tiny(t)
			cfg.Model, cfg.ModelBilinear, cfg.UseAMP = name, bilinear, amp
			cfg.NumEpochs, cfg.PatchesPerImage = 1, 3 // batches of 4 and 2
			cfg.GradientCheckpointing = !bilinear
			_, want := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{})
			_, got := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{Backend: engine, GPU: true})
			loss, array := 1e-5, 1e-4
			if amp { // bfloat16 has 8 bits, and a ReLU near 0 may open or close
				loss, array = 1e-2, 0.15
			}
			for what, pair := range map[string][2]experiment.Series{
				"training": {got.History.TrainLoss, want.History.TrainLoss}, "validation": {got.History.ValLoss, want.History.ValLoss},
			} {
				if off := math.Abs(pair[0][0]-pair[1][0]) / pair[1][0]; !(off <= loss) {
					t.Errorf("%s loss %g, on the Go engine %g", what, pair[0][0], pair[1][0])
				}
			}
			// Not the weights: AdamW moves those that have no gradient by the sign of its rounding.
			if off := farthest(got, want, func(t checkpoint.Tensor) []float32 { return t.First }); !(off <= array) {
				t.Errorf("the averages of the gradients are off by %g of the largest", off)
			}
			if off := farthest(got, want, statistics); !(off <= array) {
				t.Errorf("the running statistics are off by %g of the largest", off)
			}
		})
	}
	for _, name := range model.Names() {
		same(name, true, false)
		same(name, false, false)
	}
	same("unet", true, true)
}

func statistics(t checkpoint.Tensor) []float32 {
	if t.IsParameter() {
		return nil
	}
	return t.Values
}

// farthest is the largest difference of numbers, relative to the largest of them.
func farthest(a, b *checkpoint.State, of func(checkpoint.Tensor) []float32) float64 {
	var off, largest float32
	for i := range a.Model {
		w := of(b.Model[i])
		for j, v := range of(a.Model[i]) {
			largest, off = max(largest, v, -v), max(off, v-w[j], w[j]-v)
		}
	}
	return float64(off / largest)
}
