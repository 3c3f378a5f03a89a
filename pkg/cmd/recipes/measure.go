package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rekindle/pkg/backend"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/experiment"
	"rekindle/pkg/machine"
	"rekindle/pkg/restore"
	"rekindle/pkg/score"
	"rekindle/pkg/train"
)

// laboratory has what all recipes share.
type laboratory struct {
	photos string // folder to judge by
	learn  string // folder with train and val, for groups that learn from photographs
	engine *backend.Engine
}

const (
	every  = 6  // photographs to judge by: each sixth
	epochs = 20 // about; the rate is computed anew for each
	drawn  = 32 // built-in pictures, of side pixels
	held   = 8
	side   = 320
)

// measure trains with a recipe and judges what comes of it.
func (l *laboratory) measure(ctx context.Context, r recipe) (*result, error) {
	if l.engine == nil {
		var err error
		if l.engine, err = backend.Open("auto"); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "rekindle-recipes-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	g := groups[slices.IndexFunc(groups, func(g group) bool { return g.name == r.group })]
	base, err := l.prepare(ctx, g, first(g.name), dir)
	if err != nil {
		return nil, err
	}
	cfg, err := l.prepare(ctx, g, r, dir)
	if err != nil {
		return nil, err
	}
	var share []float64
	phases := []config.Config{cfg}
	if r.later != nil {
		second := cfg
		r.later(&second)
		phases = append(phases, second)
	}
	rounds := 2
	if r.sameStep || r.name == first(g.name).name {
		rounds, share = 0, []float64{1}
	}
	for range rounds { // in turn, so that whatever slows the machine slows both
		standard, err := l.stepTime(ctx, base)
		if err != nil {
			return nil, err
		}
		own := 0.0
		for _, p := range phases {
			one, err := l.stepTime(ctx, p)
			if err != nil {
				return nil, err
			}
			own += one / float64(len(phases))
		}
		share = append(share, standard/own)
	}
	m := &result{Engine: l.engine.Choice.String()}
	m.Steps = int(float64(g.steps) * mean(share))
	var steps clock
	exp, err := l.train(ctx, phases, m.Steps, &steps)
	if err != nil {
		return nil, err
	}
	m.Steps = len(steps.at) // what whole epochs come to
	m.StepCPU = steps.median()
	return m, l.judge(ctx, g, cfg, exp, m)
}

func mean(list []float64) float64 {
	sum := 0.0
	for _, v := range list {
		sum += v / float64(len(list))
	}
	return sum
}

// prepare makes the pictures of a recipe below dir and returns its settings.
func (l *laboratory) prepare(ctx context.Context, g group, r recipe, dir string) (config.Config, error) {
	c := g.base()
	if r.change != nil {
		r.change(&c)
	}
	c.ExperimentsDir = filepath.Join(dir, "experiments")
	c.ValEvery, c.Patience, c.SaveEvery, c.SaveEveryMinutes = 4, 0, 0, 0
	c.TrainCleanDir, c.ValCleanDir = filepath.Join(dir, "train"), filepath.Join(dir, "val")
	c.TrainDegradedDir, c.ValDegradedDir = filepath.Join(dir, "train_noisy"), filepath.Join(dir, "val_noisy")
	if g.photographs {
		c.TrainCleanDir, c.ValCleanDir = filepath.Join(l.learn, "train"), filepath.Join(l.learn, "val")
	}
	d, err := c.NewDegradation()
	if err != nil {
		return c, err
	}
	for _, part := range []struct {
		clean, noisy string
		n            int
		seed         int64
	}{{c.TrainCleanDir, c.TrainDegradedDir, drawn, c.Seed}, {c.ValCleanDir, c.ValDegradedDir, held, c.Seed + 1}} {
		if !g.photographs {
			if err := deadleaves.Folder(ctx, part.clean, part.n, side, side, part.seed, nil); err != nil {
				return c, err
			}
		}
		if !c.DegradeOnTheFly || part.clean == c.ValCleanDir {
			if _, err := degrade.Folder(ctx, part.clean, part.noisy, d, part.seed, nil); err != nil {
				return c, err
			}
		}
	}
	return c, nil
}

// open reads the pictures of a recipe.
func open(c config.Config) (data train.Data, err error) {
	noisy := c.TrainDegradedDir
	if c.DegradeOnTheFly {
		noisy = c.TrainCleanDir // not looked at
	}
	set, err := dataset.Open(noisy, c.TrainCleanDir, c.PatchSize, nil)
	if err != nil {
		return data, err
	}
	val, err := dataset.Open(c.ValDegradedDir, c.ValCleanDir, c.PatchSize, nil)
	if err != nil {
		return data, err
	}
	data.Val = val.Validation(c.PatchSize, c.ValPatchesPerImage, c.Seed)
	data.Train, err = set.Training(c)
	return data, err
}

// clock is a Reporter that notes the processor time at each step.
type clock struct {
	train.Silent
	at []time.Duration
}

func (c *clock) Batch(int, int, float64, float64) {
	c.at = append(c.at, machine.ProcessorTime())
}

// median of the times of steps in seconds, those with something between them left out by being few.
func (c *clock) median() float64 {
	var list []time.Duration
	for i := 1; i < len(c.at); i++ {
		list = append(list, c.at[i]-c.at[i-1])
	}
	return slices.Sorted(slices.Values(list))[len(list)/2].Seconds()
}

// stepTime is the processor time of a step in seconds: the first steps, with the
// compiler's work in them, do not count.
func (l *laboratory) stepTime(ctx context.Context, c config.Config) (float64, error) {
	const skipped, counted = 3, 10
	c.NumEpochs, c.WarmupEpochs, c.PatchesPerImage, c.MaxSteps = 1, 0, 100_000, skipped+counted
	var t clock
	if _, err := l.run(ctx, c, nil, &t); err != nil {
		return 0, err
	}
	return (t.at[len(t.at)-1] - t.at[len(t.at)-1-counted]).Seconds() / counted, nil
}

// run trains in exp, or in a new experiment.
func (l *laboratory) run(ctx context.Context, c config.Config, exp *experiment.Experiment, report train.Reporter) (*experiment.Experiment, error) {
	data, err := open(c)
	if err != nil {
		return nil, err
	}
	if exp == nil {
		if exp, err = experiment.Create(c, time.Now()); err != nil {
			return nil, err
		}
	}
	r, err := train.Run(ctx, exp, c, data, train.Options{Backend: l.engine.Backend, Reporter: report})
	if err == nil && r.Outcome == train.Interrupted {
		err = context.Cause(ctx)
	}
	return exp, err
}

// train does so many steps, an equal share of them in each phase.
func (l *laboratory) train(ctx context.Context, phases []config.Config, steps int, report train.Reporter) (exp *experiment.Experiment, err error) {
	var planned config.Config
	for i, c := range phases {
		data, err := open(c)
		if err != nil {
			return nil, err
		}
		images := data.Train.Len() / c.PatchesPerImage
		if i == 0 {
			c.PatchesPerImage = max(1, rounded(steps*c.BatchSize, epochs*images))
			c.NumEpochs = rounded(steps*c.BatchSize, c.PatchesPerImage*images)
			planned = c
		} else {
			c.PatchesPerImage, c.NumEpochs = max(1, rounded(planned.PatchesPerImage*c.BatchSize, planned.BatchSize)), planned.NumEpochs
		}
		c.WarmupEpochs = rounded(c.NumEpochs, 7)
		c.ResumeFromCheckpoint = i > 0
		if len(phases) > 1 && i == 0 {
			c.MaxSteps = steps / 2
		}
		if exp, err = l.run(ctx, c, exp, report); err != nil {
			return nil, err
		}
	}
	return exp, nil
}

func rounded(a, b int) int { return (a + b/2) / b }

// judge restores what the network has not seen.
func (l *laboratory) judge(ctx context.Context, g group, c config.Config, exp *experiment.Experiment, m *result) error {
	r, err := restore.Opening{Backend: l.engine.Backend}.Open(exp.Dir)
	if err != nil {
		return err
	}
	s, err := score.Folder(ctx, l.photos, score.Network(r), score.Options{Sigma: g.sigma, Clip: g.clip, Seed: 42, Every: every})
	if err != nil {
		return err
	}
	m.Photos, m.PhotoSim = float64(s.Mean.PSNR), float64(s.Mean.SSIM)
	if g.photographs {
		return nil
	}
	if s, err = score.Folder(ctx, c.ValCleanDir, score.Network(r), score.Options{Sigma: g.sigma, Clip: g.clip, Seed: 42}); err != nil {
		return err
	}
	m.Built = float64(s.Mean.PSNR)
	fmt.Printf("   %s\n", r.About)
	return nil
}
