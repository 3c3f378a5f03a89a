package train

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/checkpoint/pth"
	"rekindle/pkg/internal/bitwise"
	"rekindle/pkg/internal/python"
	"rekindle/pkg/loss"
	"rekindle/pkg/model"
	"rekindle/pkg/optim"
	"rekindle/pkg/schedule"
	"rekindle/pkg/train/step"
)

// TestPyTorchGoesOnWhereGoStopped: a checkpoint of Go's is loaded into PyTorch's
// network, AdamW and scheduler; their next step and Go's are the same, and Go
// resumes from what PyTorch saves.
func TestPyTorchGoesOnWhereGoStopped(t *testing.T) {
	t.Run("as planned", func(t *testing.T) { pyTorchGoesOn(t, false) })
	t.Run("made longer after two epochs", func(t *testing.T) { pyTorchGoesOn(t, true) })
}

func pyTorchGoesOn(t *testing.T, longer bool) {
	cfg := tinyUNet(t)
	cfg.PatchSize, cfg.BatchSize, cfg.ModelFeatures, cfg.NumEpochs = 32, 4, 4, 6
	exp := newExperiment(t, cfg)
	if longer {
		cfg.NumEpochs = 2
		mustRun(t, context.Background(), exp, cfg, Options{})
		cfg.NumEpochs, cfg.ResumeFromCheckpoint = 6, true
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{}
	w.onBatch = func(epoch, _ int) {
		if epoch == 4 {
			cancel()
		}
	}
	mustRun(t, ctx, exp, cfg, Options{Reporter: w})
	state, err := checkpoint.Load(exp.Checkpoints().Path(checkpoint.Last))
	if err != nil {
		t.Fatal(err)
	}
	if state.Epoch != 3 || state.Position != 0 {
		t.Fatalf("stopped at epoch %d, position %d", state.Epoch, state.Position)
	}

	loader := load(t, cfg).Train.Batches(context.Background(), 4, 0, cfg.BatchSize, 1)
	defer loader.Close()
	batch, err := loader.Next()
	if err != nil {
		t.Fatal(err)
	}
	given := pth.NewDict()
	given.Set("features", int64(cfg.ModelFeatures))
	given.Set("degraded", pth.FromFloat32(batch.Degraded, batch.N, 3, batch.Size, batch.Size))
	given.Set("clean", pth.FromFloat32(batch.Clean, batch.N, 3, batch.Size, batch.Size))
	dir := t.TempDir()
	batchFile, outFile := filepath.Join(dir, "batch.pth"), filepath.Join(dir, "out.pth")
	if err := pth.Save(batchFile, given); err != nil {
		t.Fatal(err)
	}
	python.Run(t, "torch", "testdata/step.py", exp.Checkpoints().Path(checkpoint.Last), batchFile, outFile)

	net, err := model.New(cfg.Model, model.OptionsOf(cfg))
	if err != nil {
		t.Fatal(err)
	}
	e, err := step.New(goEngine(t), net, loss.Combined{Alpha: cfg.LossAlpha, Beta: cfg.LossBeta}, optim.Default(), step.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lr := schedule.Rate(cfg, state.Anchor, 4)
	next, m, err := e.Advance(e.Upload(state), e.Input(batch, 0), 0, state.Step+1, lr)
	if err != nil {
		t.Fatal(err)
	}
	state.Step++
	mine, err := e.Download(next, state)
	if err != nil {
		t.Fatal(err)
	}

	f, err := pth.Open(outFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	number := func(key string) float64 {
		v, _ := f.Root.(*pth.Dict).Get(key)
		return v.(float64)
	}
	if used := number("used_lr"); math.Abs(used-lr) > 1e-15 {
		t.Errorf("PyTorch's optimizer holds the rate %g, Go uses %g", used, lr)
	}
	if then := number("next_lr"); math.Abs(then-schedule.Rate(cfg, state.Anchor, 5)) > 1e-12 {
		t.Errorf("PyTorch's schedule goes on with %g, Go's with %g", then, schedule.Rate(cfg, state.Anchor, 5))
	}
	// Advised for gradients in float32: 3e-4.
	if norm := number("norm"); math.Abs(norm-m.GradientNorm) > 3e-4*norm {
		t.Errorf("PyTorch's gradient norm is %g, Go's %g", norm, m.GradientNorm)
	}
	theirs, err := checkpoint.Load(outFile)
	if err != nil {
		t.Fatal(err)
	}
	if theirs.Epoch != 4 || theirs.Step != state.Step {
		t.Errorf("Go reads epoch %d, step %d; want 4, %d", theirs.Epoch, theirs.Step, state.Step)
	}
	count, far := 0, 0
	for i, want := range theirs.Model {
		got := mine.Model[i]
		if want.Name != got.Name {
			t.Fatalf("tensor %d is %s in PyTorch, %s in Go", i, want.Name, got.Name)
		}
		if want.IsCounter() {
			continue
		}
		for j, v := range want.Values {
			off := math.Abs(float64(v - got.Values[j]))
			count++
			if off > 0.01*lr {
				far++
			}
			if want.IsParameter() && off > 2*lr {
				t.Errorf("%s: PyTorch has %g, Go %g after one step of rate %g", want.Name, v, got.Values[j], lr)
			}
		}
	}
	if far*100 > count {
		t.Errorf("%d of %d values differ by more than a hundredth of the learning rate", far, count)
	}

	// And Go resumes from PyTorch's file.
	if err := os.Rename(outFile, exp.Checkpoints().Path("checkpoint_epoch_004.pth")); err != nil {
		t.Fatal(err)
	}
	cfg.ResumeFromCheckpoint = true
	w = &watch{}
	result, end := mustRun(t, context.Background(), exp, cfg, Options{Reporter: w})
	for i := 4; i < end.History.Len(); i++ {
		if rate := end.History.LR[i]; rate > lr || !longer && rate != schedule.Rate(cfg, schedule.Anchor{}, i+1) {
			t.Errorf("after PyTorch epoch %d has rate %g", i+1, rate)
		}
	}
	if result.Outcome != Completed || result.History.Len() != 6 || !w.said("checkpoint_epoch_004.pth") {
		t.Errorf("resume from PyTorch's file ended %q with %d epochs; messages %q", result.Outcome, result.History.Len(), w.messages)
	}
}

// TestPyTorchLoadsEveryKindOfCheckpoint with weights_only=True, and Go reads what
// PyTorch makes of it when it saves it again.
func TestPyTorchLoadsEveryKindOfCheckpoint(t *testing.T) {
	for _, decay := range []float64{0, 0.9} {
		cfg := tinyUNet(t)
		cfg.EMADecay = decay
		exp := newExperiment(t, cfg)
		ctx, w := interruptAfter(12) // in epoch 3
		mustRun(t, ctx, exp, cfg, Options{Reporter: w})
		files, err := filepath.Glob(filepath.Join(exp.CheckpointsDir(), "*.pth"))
		if err != nil || len(files) != 4 { // best, last, of epoch 2, emergency
			t.Fatalf("there are %q, want four checkpoints", files)
		}
		python.Run(t, "torch", "testdata/again.py", append([]string{strconv.Itoa(cfg.ModelFeatures)}, files...)...)
		for _, file := range files {
			want, err := checkpoint.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := checkpoint.Load(file + ".again")
			if err != nil {
				t.Fatal(err)
			}
			bitwise.SameTraining(t, got, want)
			if got.HasAverage() != (decay > 0) {
				t.Errorf("EMADecay %g: %s has an average: %v", decay, filepath.Base(file), got.HasAverage())
			}
		}
	}
}
