package measure

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
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

// Lab is a scratch folder with pictures, to train in.
type Lab struct {
	Dir     string
	Config  config.Config // its folders are those of the lab
	Devices int           // over which batches are divided; 0: they are not
}

// NewLab draws n pictures to train on and two to validate.
func NewLab(n, w, h int, cfg config.Config) (*Lab, error) {
	dir, err := os.MkdirTemp("", "rekindle-lab-")
	if err != nil {
		return nil, err
	}
	cfg.ExperimentsDir = filepath.Join(dir, "experiments")
	cfg.TrainCleanDir, cfg.TrainDegradedDir = filepath.Join(dir, "clean"), filepath.Join(dir, "noisy")
	cfg.ValCleanDir, cfg.ValDegradedDir = filepath.Join(dir, "val_clean"), filepath.Join(dir, "val_noisy")
	cfg.SaveEveryMinutes, cfg.SaveEvery, cfg.Patience = 0, 0, 0
	l := &Lab{Dir: dir, Config: cfg}
	for i, f := range []struct {
		clean, noisy string
		n            int
	}{{cfg.TrainCleanDir, cfg.TrainDegradedDir, n}, {cfg.ValCleanDir, cfg.ValDegradedDir, 2}} {
		err := os.MkdirAll(f.clean, 0o755)
		r := rand.New(rand.NewPCG(uint64(i), 1))
		for k := 0; k < f.n && err == nil; k++ {
			err = deadleaves.Image(w, h, r).SavePNG(filepath.Join(f.clean, strconv.Itoa(k)+".png"))
		}
		if err == nil {
			_, err = degrade.Folder(context.Background(), f.clean, f.noisy, degrade.Gaussian{Sigma: cfg.NoiseSigma}, 1, nil)
		}
		if err != nil {
			l.Close()
			return nil, err
		}
	}
	return l, nil
}

// Close removes the folder.
func (l *Lab) Close() { os.RemoveAll(l.Dir) }

// Small is a configuration whose runs take seconds.
func Small() config.Config {
	c := config.Default()
	c.ModelFeatures, c.BatchSize, c.PatchSize, c.TileOverlap = 8, 4, 32, 8
	c.PatchesPerImage, c.ValPatchesPerImage, c.NumEpochs, c.WarmupEpochs, c.ValEvery = 6, 2, 2, 0, 1
	c.LearningRate, c.UseAMP, c.NumWorkers = 1e-3, false, 4
	return c
}

// Open reads the pictures of a configuration.
func (l *Lab) Open(degraded, clean string, cfg config.Config) (*dataset.Set, error) {
	set, err := dataset.Open(degraded, clean, cfg.PatchSize, nil)
	if err == nil {
		set.KnowLevels(func(string) float64 { return cfg.NoiseSigma })
	}
	return set, err
}

// Train runs a configuration on an engine, in exp or, if that is nil, in a new
// experiment. The State is the newest that the run left.
func (l *Lab) Train(ctx context.Context, engine *backend.Engine, cfg config.Config, exp *experiment.Experiment, r train.Reporter) (*train.Result, *checkpoint.State, *experiment.Experiment, error) {
	trainSet, err := l.Open(cfg.TrainDegradedDir, cfg.TrainCleanDir, cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	valSet, err := l.Open(cfg.ValDegradedDir, cfg.ValCleanDir, cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	if exp == nil {
		if exp, err = experiment.Create(cfg, time.Now()); err != nil {
			return nil, nil, nil, err
		}
	}
	patches, err := trainSet.Training(cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	data := train.Data{Train: patches, Val: valSet.Validation(cfg.PatchSize, cfg.ValPatchesPerImage, cfg.Seed)}
	result, err := train.Run(ctx, exp, cfg, data, train.Options{Backend: engine.Backend, GPU: engine.OnGPU(), Devices: l.Devices, Reporter: r})
	if result == nil {
		return nil, nil, exp, err
	}
	state, _, e := exp.Checkpoints().Newest(func(string) {})
	if e == nil && state == nil {
		e = errors.New("the run left no checkpoint")
	}
	return result, state, exp, errors.Join(err, e)
}
