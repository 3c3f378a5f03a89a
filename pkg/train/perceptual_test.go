package train

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"rekindle/pkg/internal/bitwise"
	"strings"
	"testing"
)

// A network of VGG16's form with few channels, see loss/testdata/perceptual.py.
const smallVGG = "../loss/testdata/vgg_small.safetensors"

func TestThePerceptualLossTrainsAndResumesBitForBit(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs = 2
	plainExp := newExperiment(t, cfg)
	_, plain := mustRun(t, context.Background(), plainExp, cfg, Options{})

	cfg.LossGamma, cfg.VGGWeights = 0.5, smallVGG
	_, want := mustRun(t, context.Background(), newExperiment(t, cfg), cfg, Options{})
	for i, total := range want.History.TrainLoss {
		known := cfg.LossAlpha*want.History.TrainL1[i] + cfg.LossBeta*(1-want.History.TrainSSIM[i])
		if added := total - known; added < 0.01 || math.IsNaN(added) {
			t.Errorf("epoch %d: the loss is %g, L1 and SSIM make %g of it; want a perceptual part", i+1, total, known)
		}
	}
	if len(want.Model) != len(plain.Model) {
		t.Errorf("the checkpoint holds %d tensors, want the network's %d", len(want.Model), len(plain.Model))
	}
	if want.Model[0].Values[0] == plain.Model[0].Values[0] {
		t.Error("the weights are those of training without the perceptual loss")
	}

	// Stopped in the middle of the first epoch, and gone on with.
	exp := newExperiment(t, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	mustRun(t, ctx, exp, cfg, Options{Reporter: &watch{onBatch: func(_, batch int) {
		if batch == 2 {
			cancel()
		}
	}}})
	cfg.ResumeFromCheckpoint = true
	_, got := mustRun(t, context.Background(), exp, cfg, Options{})
	bitwise.SameTraining(t, got, want)
}

func TestWithoutTheWeightsOfVGG16TrainingDoesNotBegin(t *testing.T) {
	cfg := tiny(t)
	cfg.LossGamma, cfg.VGGWeights = 0.5, filepath.Join(t.TempDir(), "vgg16.pth")
	exp := newExperiment(t, cfg)
	_, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t)})
	if err == nil || !strings.Contains(err.Error(), cfg.VGGWeights) || !strings.Contains(err.Error(), "download.pytorch.org") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one line that says what to get", err)
	}
	if entries, _ := os.ReadDir(exp.CheckpointsDir()); len(entries) > 0 {
		t.Errorf("something was saved: %v", entries)
	}
	cfg.LossGamma = 0
	if _, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: goEngine(t)}); err != nil {
		t.Errorf("without the perceptual loss: %v", err)
	}
}
