//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && arm64))

package train

import (
	"fmt"
	"strings"
	"testing"

	"rekindle/pkg/internal/dryrun"
	"rekindle/pkg/model"
)

// TestEveryComputationCanBeWrittenDownForXLA runs whole trainings on an engine
// that writes XLA's programs and computes zeros.
func TestEveryComputationCanBeWrittenDownForXLA(t *testing.T) {
	for _, name := range model.Names() {
		for _, bilinear := range []bool{true, false} {
			if net, err := model.New(name, model.Options{Features: 1, Bilinear: true}); err != nil || !bilinear && !net.Options.Bilinear {
				continue // it does not look at it
			}
			for _, amp := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s,bilinear=%v,amp=%v", name, bilinear, amp), func(t *testing.T) {
					cfg := tiny(t)
					cfg.Model, cfg.ModelBilinear, cfg.UseAMP = name, bilinear, amp
					cfg.NumEpochs, cfg.EMADecay, cfg.ModelDepth = 1, 0.9, shallow(name)
					for _, variant := range []string{"plain", "recomputing", "accumulating"} {
						if amp && variant != "plain" && !tortured() {
							continue
						}
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
						if amp {
							want++ // one convolution, see canMix
						}
						if got := len(engine.Programs()); got != want {
							t.Errorf("%s: %d programs, want %d", variant, got, want)
						}
						if got := strings.Contains(all.String(), "bf16"); got != amp {
							t.Errorf("%s: bfloat16 in the programs: %v", variant, got)
						}
						if !strings.Contains(all.String(), "stablehlo.convolution") {
							t.Errorf("%s: no convolution in the programs", variant)
						}
						// Slow on a processor, see nn's maxPool.
						if variant != "recomputing" && strings.Contains(all.String(), "scatter") {
							t.Errorf("%s: a scatter in the programs", variant)
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
