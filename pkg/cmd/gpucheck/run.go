package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/experiment"
	"rekindle/pkg/train"
)

// laboratory is a scratch folder with pictures.
type laboratory struct {
	dir     string
	cfg     config.Config
	devices int // over which batches are divided; 0: they are not
}

// newLaboratory draws n pictures of side pixels to train on and two to validate.
func newLaboratory(n, side int, cfg config.Config) (*laboratory, error) {
	dir, err := os.MkdirTemp("", "rekindle-gpucheck-")
	if err != nil {
		return nil, err
	}
	cfg.ExperimentsDir = filepath.Join(dir, "experiments")
	cfg.TrainCleanDir, cfg.TrainDegradedDir = filepath.Join(dir, "clean"), filepath.Join(dir, "noisy")
	cfg.ValCleanDir, cfg.ValDegradedDir = filepath.Join(dir, "val_clean"), filepath.Join(dir, "val_noisy")
	cfg.SaveEveryMinutes, cfg.SaveEvery, cfg.Patience = 0, 0, 0
	for i, f := range []struct {
		clean, noisy string
		n            int
	}{{cfg.TrainCleanDir, cfg.TrainDegradedDir, n}, {cfg.ValCleanDir, cfg.ValDegradedDir, 2}} {
		if err := os.MkdirAll(f.clean, 0o755); err != nil {
			return nil, err
		}
		r := rand.New(rand.NewPCG(uint64(i), 1))
		for k := range f.n {
			if err := deadleaves.Image(side, side, r).SavePNG(filepath.Join(f.clean, strconv.Itoa(k)+".png")); err != nil {
				return nil, err
			}
		}
		if _, err := degrade.Folder(context.Background(), f.clean, f.noisy, degrade.Gaussian{Sigma: cfg.NoiseSigma}, 1, nil); err != nil {
			return nil, err
		}
	}
	return &laboratory{dir: dir, cfg: cfg}, nil
}

func (l *laboratory) close() { os.RemoveAll(l.dir) }

// small is a configuration whose runs take seconds.
func small() config.Config {
	c := config.Default()
	c.ModelFeatures, c.BatchSize, c.PatchSize, c.TileOverlap = 8, 4, 32, 8
	c.PatchesPerImage, c.ValPatchesPerImage, c.NumEpochs, c.WarmupEpochs, c.ValEvery = 6, 2, 2, 0, 1
	c.LearningRate, c.UseAMP, c.NumWorkers = 1e-3, false, 4
	return c
}

// record is a Reporter that remembers losses and times, and can stop the run.
type record struct {
	train.Silent
	losses  []float64
	times   []time.Time
	onBatch func(n int)
	says    bool
}

func (r *record) Message(format string, args ...any) {
	if r.says {
		fmt.Printf(format+"\n", args...)
	}
}
func (r *record) Batch(_, _ int, loss, _ float64) {
	r.losses, r.times = append(r.losses, loss), append(r.times, time.Now())
	if r.onBatch != nil {
		r.onBatch(len(r.losses))
	}
}

// train runs a configuration on an engine, in exp or, if that is nil, in a new
// experiment.
func (l *laboratory) train(ctx context.Context, engine *backend.Engine, cfg config.Config, exp *experiment.Experiment, r *record) (*train.Result, *checkpoint.State, *experiment.Experiment, error) {
	open := func(degraded, clean string) (*dataset.Set, error) {
		set, err := dataset.Open(degraded, clean, cfg.PatchSize, nil)
		if err == nil {
			set.KnowLevels(func(string) float64 { return cfg.NoiseSigma })
		}
		return set, err
	}
	trainSet, err := open(cfg.TrainDegradedDir, cfg.TrainCleanDir)
	if err != nil {
		return nil, nil, nil, err
	}
	valSet, err := open(cfg.ValDegradedDir, cfg.ValCleanDir)
	if err != nil {
		return nil, nil, nil, err
	}
	if exp == nil {
		if exp, err = experiment.Create(cfg, time.Now()); err != nil {
			return nil, nil, nil, err
		}
	}
	data := train.Data{Train: trainSet.Train(cfg.PatchSize, cfg.PatchesPerImage, cfg.Seed), Val: valSet.Validation(cfg.PatchSize, cfg.ValPatchesPerImage, cfg.Seed)}
	result, err := train.Run(ctx, exp, cfg, data, train.Options{Backend: engine.Backend, GPU: engine.OnGPU(), Devices: l.devices, Reporter: r})
	if result == nil {
		return nil, nil, exp, err
	}
	state, _, e := exp.Checkpoints().Newest(func(string) {})
	if e == nil && state == nil {
		e = errors.New("the run left no checkpoint")
	}
	if e != nil {
		err = errors.Join(err, e)
	}
	return result, state, exp, err
}

// difference is the largest difference of two States' weights, relative to the
// largest weight, and whether they are equal bit for bit.
func difference(a, b *checkpoint.State) (relative float64, equal bool) {
	var largest, off float64
	equal = len(a.Model) == len(b.Model)
	for i := range a.Model {
		x, y := a.Model[i].Values, b.Model[i].Values
		equal = equal && slices.Equal(x, y)
		for j := range x {
			largest = max(largest, abs(x[j]))
			off = max(off, abs(x[j]-y[j]))
		}
	}
	return off / largest, equal
}

func abs(v float32) float64 {
	if v < 0 {
		v = -v
	}
	return float64(v)
}
