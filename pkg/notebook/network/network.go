// Package network holds the function of the notebook's cell that describes the
// network. It knows the networks, but links no engine to compute them with, which
// would make the cell cost twice as much.
package network

import (
	"fmt"

	"rekindle/pkg/config"
	"rekindle/pkg/model"
	"rekindle/pkg/notebook"
	"rekindle/pkg/notebook/cell"
)

// Describe prints the network, loss, optimizer and schedule, and what training
// is going to start from.
func Describe(cfg config.Config) {
	net, err := model.New(cfg.Model, model.OptionsOf(cfg))
	cell.Check(err)
	cell.Say("🤖 Model: %s (%s)", cfg.Model, net.Shape())
	cell.Say("   Parameters: %s", thousands(net.NumParams()))
	if cfg.UseAMP && (cfg.Device == "go" || cfg.Device == "cpu" || !notebook.HasGPU()) {
		cell.Say("   UseAMP has no effect on a CPU: everything is float32")
	}
	cell.Say("\n📉 Loss: %g × %s + %g × (1 − SSIM)%s", cfg.LossAlpha, absolute(cfg), cfg.LossBeta, perceptual(cfg))
	cell.Say("\n⚙️  Optimizer: AdamW, learning rate %g, weight decay %g, gradients clipped to a norm of %g", cfg.LearningRate, cfg.WeightDecay, cfg.GradientClip)
	if cfg.AccumulationSteps > 1 {
		cell.Say("   One step for %d batches of %d", cfg.AccumulationSteps, cfg.BatchSize)
	}
	if cfg.EMADecay > 0 {
		cell.Say("   Validation and pictures use a moving average of the weights, decay %g", cfg.EMADecay)
	}
	cell.Say("\n📅 Schedule: %s over %d epochs, warm-up %d, down to %g", cfg.Scheduler, cfg.NumEpochs, cfg.WarmupEpochs, cfg.MinLR)
	describeStart(cfg)
}

// absolute is the part of the loss that is about single values.
func absolute(cfg config.Config) string {
	if cfg.LossCharbonnier == 0 {
		return "L1"
	}
	return fmt.Sprintf("Charbonnier (ε %g)", cfg.LossCharbonnier)
}

// perceptual is what the perceptual loss adds to the sum, if it is wanted.
func perceptual(cfg config.Config) string {
	if cfg.LossGamma == 0 {
		return ""
	}
	return fmt.Sprintf(" + %g × perceptual (VGG16 from %s)", cfg.LossGamma, cfg.VGGWeights)
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func describeStart(cfg config.Config) {
	entries, err := notebook.Experiment(cfg).Checkpoints().List()
	cell.Check(err)
	switch {
	case len(entries) == 0:
		cell.Say("\n🆕 Training will start from the beginning")
	case entries[0].Err != nil:
		cell.Say("\n⚠️  None of the %d checkpoints can be read", len(entries))
	default:
		next := ""
		if n := entries[0].Position; n > 0 {
			next = fmt.Sprintf(" and %d patches of the next", n)
		}
		cell.Say("\n🔄 Newest checkpoint: %s, %d epochs done%s", entries[0].Name(), entries[0].Epoch, next)
	}
}
