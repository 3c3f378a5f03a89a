package compute_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"rekindle/pkg/config"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/notebook"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/notebook/compute"
)

// The cells of a notebook that train, without a notebook.
func ExampleTrain() {
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)

	cfg := config.Preset("go")
	cfg.ExperimentsDir, cfg.Device = filepath.Join(dir, "experiments"), "go"
	cfg.TrainCleanDir, cfg.TrainDegradedDir = filepath.Join(dir, "clean"), filepath.Join(dir, "noisy")
	cfg.ValCleanDir, cfg.ValDegradedDir = cfg.TrainCleanDir, cfg.TrainDegradedDir
	cfg.ModelFeatures, cfg.PatchSize, cfg.PatchesPerImage, cfg.TileOverlap, cfg.NumEpochs = 2, 16, 4, 4, 2
	check(os.Mkdir(cfg.TrainCleanDir, 0o777))
	check(deadleaves.Image(48, 48, rand.New(rand.NewPCG(1, 2))).SavePNG(filepath.Join(cfg.TrainCleanDir, "photo.png")))

	silently(func() {
		notebook.SetUp(cfg, false)
		notebook.PrepareData(cfg)
		compute.Train(cfg)
	})
	h, best, _ := notebook.History(cfg)
	fmt.Println(h.Len(), "epochs, one of them the best:", best > 0)
	// Output: 2 epochs, one of them the best: true
}

// silently throws away what cells print.
func silently(cells func()) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	check(err)
	defer null.Close()
	out, stdout := cell.Out, os.Stdout
	defer func() { cell.Out, os.Stdout = out, stdout }()
	cell.Out, os.Stdout = null, null
	cells()
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
