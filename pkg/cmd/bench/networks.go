package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"rekindle/pkg/cmd/internal/measure"
	"rekindle/pkg/config"
	"rekindle/pkg/rgb"
)

// size is a network and a batch.
type size struct{ features, batch, patch int }

func (s size) String() string {
	return fmt.Sprintf("features %d, batch %d, patch %d", s.features, s.batch, s.patch)
}

func (b *bench) sizes() []size {
	if b.short {
		return []size{{16, 8, 64}}
	}
	return []size{{16, 8, 64}, {32, 4, 128}}
}

// bounds are those of the two sizes: the engine in pure Go beside PyTorch, and
// XLA's, which does the same work with the same instructions.
func (s size) bounds(what string) map[string]bound {
	wanted := map[string][2]string{"step": {"1.15", "1.4"}, "infer": {"1.0", "1.1"}}[what][s.features/32]
	of := map[string]string{"step": "5", "infer": "4"}[what]
	return map[string]bound{"go": {"at most " + of + " times", "at most 1.6 times"}, "cpu": {"at most " + wanted + " times", "at most once"}}
}

// networks compares whole training steps and inference.
func (b *bench) networks(ctx context.Context) error {
	for _, s := range b.sizes() {
		for _, what := range []string{"step", "infer"} {
			name := map[string]string{"step": "training step, ", "infer": "inference, "}[what] + s.String()
			if err := b.compare(ctx, name, "ms", fmt.Sprintf("%s %d %d %d", what, s.features, s.batch, s.patch), s.bounds(what)); err != nil {
				return err
			}
		}
	}
	return nil
}

// restoration compares a whole picture in tiles: ours as make restore chooses them,
// the peer's as the Python original does.
func (b *bench) restoration(ctx context.Context) error {
	const features, tile, overlap = 16, 128, 32
	w, h := 2040, 1356
	if b.short {
		w, h = 510, 339
	}
	what := fmt.Sprintf("restoration of %dx%d, features %d", w, h, features)
	return b.compare(ctx, what, "s", fmt.Sprintf("restore %d %d %d %d %d", features, w, h, tile, overlap), nil)
}

// pipeline compares patches from decoded pictures with decoding for each patch.
func (b *bench) pipeline(ctx context.Context) error {
	const patch, workers = 128, 4
	lab, err := measure.NewLab(1, 2040, 1356, config.Default())
	if err != nil {
		return err
	}
	defer lab.Close()
	clean, noisy := lab.Config.TrainCleanDir, lab.Config.TrainDegradedDir
	set, err := lab.Open(noisy, clean, lab.Config)
	if err != nil {
		return err
	}
	const patches, decodes = 2000, 8
	sampler := set.Train(patch, patches, 1)
	epoch := 0
	cutting := func() error {
		epoch++
		loader := sampler.Batches(ctx, epoch, 0, 16, workers)
		defer loader.Close()
		for {
			batch, err := loader.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			loader.Recycle(batch)
		}
	}
	decoding := func() error {
		failed := make(chan error)
		for range workers {
			go func() {
				var planes [3 * patch * patch]float32
				var err error
				for i := 0; i < decodes/workers && err == nil; i++ {
					for _, dir := range []string{clean, noisy} {
						var im *rgb.Image
						if im, err = rgb.Load(filepath.Join(dir, "0.png")); err != nil {
							break
						}
						im.Crop(100, 100, patch, patch).Planes(planes[:])
					}
				}
				failed <- err
			}()
		}
		var err error
		for range workers {
			if e := <-failed; e != nil {
				err = e
			}
		}
		return err
	}
	ours, theirs, err := b.pairs(ctx, 20*time.Second, timed(cutting), timed(decoding))
	if err != nil {
		return err
	}
	b.add(line{what: "patches of 128x128 from 2040x1356, 4 workers", unit: "per second", ours: ours.Per(patches), theirs: theirs.Per(decodes),
		versus: "decoding both PNGs for each patch", bound: "at least 20 times and 3,000"})
	return nil
}
