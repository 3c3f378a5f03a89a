package train

import (
	"context"
	"strings"
	"testing"

	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/internal/bitwise"
)

// levelled is a run of a network that takes a noise level, which each patch has
// of its own, clipped or not. The validation pictures are said to have the level val.
func levelled(t *testing.T, val float64) (config.Config, Data) {
	cfg := tiny(t)
	cfg.Model, cfg.ModelFeatures, cfg.ModelDepth = "ffdnet", 4, 3
	cfg.DegradeOnTheFly, cfg.NoiseSigma, cfg.NoiseSigmaMax, cfg.NoiseUnclipped = true, 5, 55, 0.5
	return cfg, withLevels(t, cfg, val)
}

func withLevels(t *testing.T, cfg config.Config, val float64) Data {
	data := load(t, cfg)
	set, err := dataset.Open(cfg.ValDegradedDir, cfg.ValCleanDir, cfg.PatchSize, nil)
	if err != nil {
		t.Fatal(err)
	}
	set.KnowLevels(func(string) float64 { return val })
	data.Val = set.Validation(cfg.PatchSize, cfg.ValPatchesPerImage, cfg.Seed)
	return data
}

func TestANetworkThatTakesALevelResumesBitForBit(t *testing.T) {
	for _, pad := range []bool{false, true} {
		cfg, data := levelled(t, 50)
		straight := newExperiment(t, cfg)
		if _, err := Run(t.Context(), straight, cfg, data, Options{Backend: goEngine(t), FillUp: pad}); err != nil {
			t.Fatal(err)
		}
		exp := newExperiment(t, cfg)
		cfg.ResumeFromCheckpoint = true
		for outcome := Interrupted; outcome == Interrupted; {
			ctx, w := interruptAfter(4)
			result, err := Run(ctx, exp, cfg, data, Options{Backend: goEngine(t), FillUp: pad, Reporter: w})
			if err != nil {
				t.Fatal(err)
			}
			outcome = result.Outcome
		}
		bitwise.SameTraining(t, newest(t, exp), newest(t, straight))
	}
}

// What a network is told decides what it learns, and what validation says.
func TestLevelsReachTheNetwork(t *testing.T) {
	losses := func(accumulate int, train, val float64) (trained, validated float64) {
		t.Helper()
		cfg, _ := levelled(t, val)
		cfg.DegradeOnTheFly, cfg.NoiseUnclipped, cfg.NumEpochs, cfg.AccumulationSteps, cfg.Model = false, 0, 1, accumulate, "ffdnet_merged"
		data := withLevels(t, cfg, val)
		set, err := dataset.Open(cfg.TrainDegradedDir, cfg.TrainCleanDir, cfg.PatchSize, nil)
		if err != nil {
			t.Fatal(err)
		}
		set.KnowLevels(func(stem string) float64 { return train })
		data.Train = set.Train(cfg.PatchSize, cfg.PatchesPerImage, cfg.Seed)
		exp := newExperiment(t, cfg)
		if _, err := Run(context.Background(), exp, cfg, data, Options{Backend: goEngine(t)}); err != nil {
			t.Fatal(err)
		}
		h := newest(t, exp).History
		return h.TrainLoss[0], h.ValLoss[0]
	}
	for _, accumulate := range []int{1, 2} {
		trained, validated := losses(accumulate, 50, 50)
		otherTrained, _ := losses(accumulate, 250, 50)
		sameTrained, otherValidated := losses(accumulate, 50, 250)
		if trained == otherTrained || trained != sameTrained || validated == otherValidated {
			t.Errorf("AccumulationSteps %d: losses %v and %v, with other levels in training %v, in validation %v and %v", accumulate, trained, validated, otherTrained, sameTrained, otherValidated)
		}
	}
}

func TestANetworkThatTakesALevelNeedsOne(t *testing.T) {
	cfg, _ := levelled(t, 50)
	cfg.NoiseUnclipped, cfg.DegradeOnTheFly = 0, false
	_, err := Run(t.Context(), newExperiment(t, cfg), cfg, loadWith(t, cfg, func(*dataset.Set) {}), Options{Backend: goEngine(t)})
	if err == nil || !strings.Contains(err.Error(), "ffdnet must be told the level of the noise") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}
