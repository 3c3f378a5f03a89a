package train

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/experiment"
)

// tiny is a run of a few seconds: 3 epochs of 5 batches, the last one partial.
func tiny(t *testing.T) config.Config {
	t.Helper()
	root := t.TempDir()
	cfg := config.Default()
	cfg.ExperimentsDir = filepath.Join(root, "experiments")
	cfg.TrainCleanDir, cfg.TrainDegradedDir = filepath.Join(root, "clean"), filepath.Join(root, "noisy")
	cfg.ValCleanDir, cfg.ValDegradedDir = filepath.Join(root, "val_clean"), filepath.Join(root, "val_noisy")
	cfg.BatchSize, cfg.NumEpochs, cfg.LearningRate, cfg.WarmupEpochs = 4, 3, 1e-3, 1
	cfg.PatchSize, cfg.PatchesPerImage, cfg.ValPatchesPerImage, cfg.NumWorkers = 16, 9, 3, 2
	cfg.ModelFeatures = 2
	if !tortured() {
		cfg.Model, cfg.ModelDepth = "dncnn", 3
	}
	cfg.ValEvery, cfg.SaveEvery, cfg.SaveEveryMinutes = 1, 2, 0
	cfg.Device, cfg.UseAMP, cfg.TileOverlap = "go", false, 4
	pictures(t, cfg.TrainCleanDir, cfg.TrainDegradedDir, 2, 1)
	pictures(t, cfg.ValCleanDir, cfg.ValDegradedDir, 1, 2)
	return cfg
}

// tinyUNet is the same of the network that people train.
func tinyUNet(t *testing.T) config.Config {
	t.Helper()
	cfg := tiny(t)
	cfg.Model, cfg.ModelDepth = "unet", 0
	return cfg
}

func pictures(t *testing.T, clean, noisy string, n int, seed int64) {
	t.Helper()
	if err := os.MkdirAll(clean, 0o755); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(uint64(seed), 0))
	for i := range n {
		if err := deadleaves.Image(40, 40, r).SavePNG(filepath.Join(clean, fmt.Sprintf("%d.png", i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := degrade.Folder(context.Background(), clean, noisy, degrade.Gaussian{Sigma: 50}, seed, nil); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, cfg config.Config) Data {
	t.Helper()
	return loadWith(t, cfg, func(s *dataset.Set) { s.KnowLevels(func(string) float64 { return 50 }) }) // see pictures
}

func loadWith(t *testing.T, cfg config.Config, tell func(s *dataset.Set)) Data {
	t.Helper()
	open := func(degraded, clean string) *dataset.Set {
		s, err := dataset.Open(degraded, clean, cfg.PatchSize, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		tell(s)
		return s
	}
	patches, err := open(cfg.TrainDegradedDir, cfg.TrainCleanDir).Training(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return Data{
		Train: patches,
		Val:   open(cfg.ValDegradedDir, cfg.ValCleanDir).Validation(cfg.PatchSize, cfg.ValPatchesPerImage, cfg.Seed),
	}
}

func newExperiment(t *testing.T, cfg config.Config) *experiment.Experiment {
	t.Helper()
	exp, err := experiment.Create(cfg, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return exp
}

func goEngine(t testing.TB) compute.Backend {
	t.Helper()
	engine, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	return engine.Backend
}

// watch is a Reporter that remembers messages and can act after each batch.
type watch struct {
	Silent
	messages []string
	onBatch  func(epoch, batch int)
	batches  int
}

func (w *watch) Message(format string, args ...any) {
	w.messages = append(w.messages, fmt.Sprintf(format, args...))
}

func (w *watch) Batch(epoch, batch int, _, _ float64) {
	w.batches++
	if w.onBatch != nil {
		w.onBatch(epoch, batch)
	}
}

func (w *watch) said(text string) bool {
	return slices.ContainsFunc(w.messages, func(m string) bool { return strings.Contains(m, text) })
}

// mustRun trains until the run ends and returns the State it left on disk.
func mustRun(t *testing.T, ctx context.Context, exp *experiment.Experiment, cfg config.Config, opts Options) (*Result, *checkpoint.State) {
	t.Helper()
	if opts.Backend == nil {
		opts.Backend = goEngine(t)
	}
	result, err := Run(ctx, exp, cfg, load(t, cfg), opts)
	if err != nil && result == nil {
		t.Fatal(err)
	}
	return result, newest(t, exp)
}

func newest(t *testing.T, exp *experiment.Experiment) *checkpoint.State {
	t.Helper()
	s, _, err := exp.Checkpoints().Newest(func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shallow is a ModelDepth that keeps all kinds of layers of a network and is quick.
func shallow(name string) int {
	if name == "nafnet" {
		return 1 // block at each of nine levels
	}
	return 3
}
