package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"rekindle/pkg/degrade"
)

// Validate reports everything that cannot work, one sentence for each key.
func (c Config) Validate() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf("config: "+format, args...)) }

	atLeast := func(key string, value, least int) {
		if value < least {
			bad("%s is %d; it must be at least %d", key, value, least)
		}
	}
	atLeast("BatchSize", c.BatchSize, 1)
	atLeast("AccumulationSteps", c.AccumulationSteps, 0)
	atLeast("NumEpochs", c.NumEpochs, 1)
	atLeast("PatchSize", c.PatchSize, 16) // four poolings by two
	atLeast("PatchesPerImage", c.PatchesPerImage, 1)
	atLeast("ValPatchesPerImage", c.ValPatchesPerImage, 1)
	atLeast("NumWorkers", c.NumWorkers, 1)
	atLeast("ModelFeatures", c.ModelFeatures, 1)
	atLeast("ValEvery", c.ValEvery, 1)
	atLeast("WarmupEpochs", c.WarmupEpochs, 0)
	atLeast("Patience", c.Patience, 0)
	atLeast("SaveEvery", c.SaveEvery, 0)
	atLeast("KeepCheckpoints", c.KeepCheckpoints, 0)
	atLeast("MaxSteps", c.MaxSteps, 0)
	atLeast("NotifyEvery", c.NotifyEvery, 0)
	atLeast("MemoryLimitMB", c.MemoryLimitMB, 0)
	atLeast("TileOverlap", c.TileOverlap, 0)
	atLeast("MaxEvalImages", c.MaxEvalImages, 0)
	if c.PatchSize >= 16 && c.TileOverlap >= c.PatchSize {
		bad("TileOverlap is %d; it must be smaller than PatchSize (%d), or tiles never advance", c.TileOverlap, c.PatchSize)
	}

	notNegative := func(key string, value float64) {
		if math.IsNaN(value) || math.IsInf(value, 0) || value < 0 {
			bad("%s is %g; it must be a number of at least 0", key, value)
		}
	}
	notNegative("WeightDecay", c.WeightDecay)
	notNegative("GradientClip", c.GradientClip)
	notNegative("LossAlpha", c.LossAlpha)
	notNegative("LossBeta", c.LossBeta)
	notNegative("LossGamma", c.LossGamma)
	notNegative("NoiseSigma", c.NoiseSigma)
	notNegative("MinLR", c.MinLR)
	notNegative("SaveEveryMinutes", c.SaveEveryMinutes)
	notNegative("MaxMinutes", c.MaxMinutes)
	if !(c.LearningRate > 0) || math.IsInf(c.LearningRate, 0) {
		bad("LearningRate is %g; it must be above 0", c.LearningRate)
	}
	if !(c.EMADecay >= 0 && c.EMADecay < 1) {
		bad("EMADecay is %g; it must be at least 0 (no average) and below 1, such as 0.999", c.EMADecay)
	}
	if c.LossAlpha == 0 && c.LossBeta == 0 && c.LossGamma == 0 {
		bad("LossAlpha, LossBeta and LossGamma are all 0; there is nothing to learn from")
	}
	if c.LossGamma > 0 && strings.TrimSpace(c.VGGWeights) == "" {
		bad("LossGamma is %g, but VGGWeights names no file; get torchvision's vgg16-397923af.pth and name it, or set LossGamma to 0", c.LossGamma)
	}

	if c.ForkExperiment != "" && c.InitialWeights != "" {
		bad("ForkExperiment is %q and InitialWeights is %q; a run begins with the weights of one of them, so leave the other empty", c.ForkExperiment, c.InitialWeights)
	}

	oneOf := func(key, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			bad("%s is %q; it must be one of %q", key, value, allowed)
		}
	}
	oneOf("Scheduler", c.Scheduler, "cosine", "none")
	oneOf("Device", c.Device, "auto", "cuda", "cpu", "go")
	oneOf("Devices", c.Devices, "one", "all")
	oneOf("Degradation", c.Degradation, degrade.Names()...)
	if slices.Contains(degrade.Names(), c.Degradation) && c.Degradation != "gaussian" { // whose NoiseSigma was looked at above
		if _, err := c.NewDegradation(); err != nil { // the strength: keys of other kinds may be anything
			bad("%s", strings.TrimPrefix(err.Error(), "degrade: "))
		}
	}
	oneOf("OOMPolicy", c.OOMPolicy, "stop", "halve")

	for _, f := range []struct{ key, value string }{
		{"Model", c.Model}, {"ExperimentsDir", c.ExperimentsDir},
		{"TrainCleanDir", c.TrainCleanDir}, {"ValCleanDir", c.ValCleanDir},
	} {
		if strings.TrimSpace(f.value) == "" {
			bad("%s is empty", f.key)
		}
	}
	if strings.HasPrefix(c.Model, "/") || slices.Contains(strings.Split(c.Model, "/"), "..") {
		bad("Model is %q; it becomes part of a folder's path and must not leave it", c.Model)
	}
	for _, f := range []struct{ key, value string }{
		{"ExperimentName", c.ExperimentName}, {"ResumeExperiment", c.ResumeExperiment}, {"ForkExperiment", c.ForkExperiment},
	} {
		if strings.ContainsAny(f.value, `/\`) || f.value == ".." || f.value == "." {
			bad("%s is %q; it must be the plain name of a folder", f.key, f.value)
		}
	}
	return errors.Join(problems...)
}
