package train_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"rekindle/pkg/backend"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/experiment"
	"rekindle/pkg/train"
)

// Training without a notebook: two pictures, two epochs, and then one more.
func ExampleRun() {
	dir, err := os.MkdirTemp("", "train")
	check(err)
	defer os.RemoveAll(dir)
	clean, noisy := filepath.Join(dir, "clean"), filepath.Join(dir, "noisy")
	check(deadleaves.Folder(context.Background(), clean, 2, 48, 48, 1, nil))
	_, err = degrade.Folder(context.Background(), clean, noisy, degrade.Gaussian{Sigma: 50}, 1, nil)
	check(err)

	cfg := config.Default()
	cfg.ExperimentsDir, cfg.Device = filepath.Join(dir, "experiments"), "go"
	cfg.ModelFeatures, cfg.PatchSize, cfg.PatchesPerImage, cfg.TileOverlap, cfg.BatchSize = 2, 16, 4, 4, 4
	cfg.NumEpochs, cfg.WarmupEpochs = 2, 1

	pictures, err := dataset.Open(noisy, clean, cfg.PatchSize, nil)
	check(err)
	data := train.Data{
		Train: pictures.Train(cfg.PatchSize, cfg.PatchesPerImage, cfg.Seed),
		Val:   pictures.Validation(cfg.PatchSize, cfg.ValPatchesPerImage, cfg.Seed),
	}
	engine, err := backend.Open(cfg.Device)
	check(err)
	exp, err := experiment.Create(cfg, time.Now())
	check(err)
	lock, err := exp.Lock()
	check(err)
	defer lock.Release()

	result, err := train.Run(context.Background(), exp, cfg, data, train.Options{Backend: engine.Backend})
	check(err)
	fmt.Println(result.Outcome, result.History.Len(), filepath.Base(result.Checkpoint))

	cfg.NumEpochs, cfg.ResumeFromCheckpoint = 3, true
	result, err = train.Run(context.Background(), exp, cfg, data, train.Options{Backend: engine.Backend})
	check(err)
	fmt.Println(result.Outcome, result.History.Len())
	// Output:
	// completed 2 last_checkpoint.pth
	// completed 3
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
