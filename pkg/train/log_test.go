package train

import (
	"math"
	"testing"

	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/internal/reference"
	"rekindle/pkg/loss"
	"rekindle/pkg/model"
	"rekindle/pkg/optim"
	"rekindle/pkg/schedule"
	"rekindle/pkg/train/step"
)

// TestThreeEpochsFollowTheOriginalsLog trains on the original's six pairs, in
// its order, and compares every number of its history.
func TestThreeEpochsFollowTheOriginalsLog(t *testing.T) {
	var log struct {
		History map[string][]float64 `json:"history_float32"`
	}
	reference.JSON(t, "training_log.json", &log)
	ref := reference.Load(t, "training_log.safetensors")
	net, err := model.New("unet", model.Options{Features: 4, Bilinear: true})
	if err != nil {
		t.Fatal(err)
	}
	e, err := step.New(goEngine(t), net, loss.Combined{Alpha: 0.84, Beta: 0.16}, optim.Default(), step.Options{})
	if err != nil {
		t.Fatal(err)
	}
	state := fresh(net, 1)
	for i := range state.Model {
		if !state.Model[i].IsCounter() {
			state.Model[i].Values = ref["init."+state.Model[i].Name].Float32()
		}
	}
	const size = 3 * 32 * 32
	degraded, clean := ref["degraded"].Float32(), ref["clean"].Float32()
	batch := func(from, to int) *dataset.Batch {
		return &dataset.Batch{N: to - from, Size: 32, Degraded: degraded[from*size : to*size], Clean: clean[from*size : to*size]}
	}
	cfg := config.Default()
	cfg.NumEpochs, cfg.WarmupEpochs, cfg.LearningRate, cfg.MinLR = 3, 1, 1e-3, 1e-6
	at := e.Upload(state)
	for epoch := 1; epoch <= 3; epoch++ {
		// Advised: 2e-4 in the first epoch, 2e-3 after it.
		bound := 2e-4
		if epoch > 1 {
			bound = 2e-3
		}
		got := map[string]float64{}
		for i := range 3 {
			state.Step++
			next, m, err := e.Advance(at, e.Input(batch(2*i, 2*i+2), 0), 0, state.Step, schedule.Rate(cfg, schedule.Anchor{}, epoch))
			if err != nil {
				t.Fatal(err)
			}
			at = next
			got["train_loss"] += m.Loss / 3
			got["train_l1"] += m.L1 / 3
			got["train_ssim"] += m.SSIM / 3
		}
		// The original's validation is the plain mean of batch means; ours weighs by samples.
		for _, b := range []*dataset.Batch{batch(6, 8), batch(8, 9)} {
			m, err := e.Evaluate(at, e.Input(b, 0), false)
			if err != nil {
				t.Fatal(err)
			}
			got["val_loss"] += m.Loss / 2
			got["val_l1"] += m.L1 / 2
			got["val_ssim"] += m.SSIM / 2
		}
		for key, v := range got {
			if want := log.History[key][epoch-1]; !(math.Abs(v-want) <= bound*math.Max(math.Abs(want), 0.1)) {
				t.Errorf("epoch %d: %s is %.6f, the original's %.6f", epoch, key, v, want)
			}
		}
	}
}
