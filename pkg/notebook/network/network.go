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
	fmt.Fprintf(cell.Out, "🤖 Model: %s (%s)\n", cfg.Model, net.Shape())
	fmt.Fprintf(cell.Out, "   Parameters: %s\n", thousands(net.NumParams()))
	if cfg.UseAMP && (cfg.Device == "go" || cfg.Device == "cpu" || !notebook.HasGPU()) {
		fmt.Fprintln(cell.Out, "   UseAMP has no effect on a CPU: everything is float32")
	}
	fmt.Fprintf(cell.Out, "\n📉 Loss: %g × %s + %g × (1 − SSIM)%s\n", cfg.LossAlpha, absolute(cfg), cfg.LossBeta, perceptual(cfg))
	fmt.Fprintf(cell.Out, "\n⚙️  Optimizer: AdamW, learning rate %g, weight decay %g, gradients clipped to a norm of %g\n", cfg.LearningRate, cfg.WeightDecay, cfg.GradientClip)
	if cfg.AccumulationSteps > 1 {
		fmt.Fprintf(cell.Out, "   One step for %d batches of %d\n", cfg.AccumulationSteps, cfg.BatchSize)
	}
	if cfg.EMADecay > 0 {
		fmt.Fprintf(cell.Out, "   Validation and pictures use a moving average of the weights, decay %g\n", cfg.EMADecay)
	}
	fmt.Fprintf(cell.Out, "\n📅 Schedule: %s over %d epochs, warm-up %d, down to %g\n", cfg.Scheduler, cfg.NumEpochs, cfg.WarmupEpochs, cfg.MinLR)
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
		fmt.Fprintln(cell.Out, "\n🆕 Training will start from the beginning")
	case entries[0].Err != nil:
		fmt.Fprintf(cell.Out, "\n⚠️  None of the %d checkpoints can be read\n", len(entries))
	default:
		fmt.Fprintf(cell.Out, "\n🔄 Newest checkpoint: %s, %d epochs done", entries[0].Name(), entries[0].Epoch)
		if entries[0].Position > 0 {
			fmt.Fprintf(cell.Out, " and %d patches of the next", entries[0].Position)
		}
		fmt.Fprintln(cell.Out)
	}
}
