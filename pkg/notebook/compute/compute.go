// Package compute holds the functions of the notebook's cells that need the
// engine: describing the network, training it, and applying it. Cells that only
// look at results use package notebook, which stays small and quick to build.
//
// Every function prints what a person wants to see, and on an error prints one
// sentence to standard error and ends the cell with exit status 1.
package compute

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/model"
	"rekindle/pkg/notebook"
	"rekindle/pkg/restore"
	"rekindle/pkg/train"
)

// Describe prints the network, loss, optimizer and schedule, which engine will
// compute and why, and what training is going to start from.
func Describe(cfg config.Config) {
	net, err := model.New(cfg.Model, model.Options{Features: cfg.ModelFeatures, Bilinear: cfg.ModelBilinear})
	notebook.Check(err)
	engine, err := backend.Open(cfg.Device)
	notebook.Check(err)
	fmt.Fprintf(notebook.Out, "🤖 Model: %s (%s)\n", cfg.Model, upsampling(cfg))
	fmt.Fprintf(notebook.Out, "   Parameters: %s\n", thousands(net.NumParams()))
	fmt.Fprintf(notebook.Out, "   Engine: %s\n", engine.Choice)
	if cfg.UseAMP && !engine.OnGPU() {
		fmt.Fprintln(notebook.Out, "   UseAMP has no effect on a CPU: everything is float32")
	}
	fmt.Fprintf(notebook.Out, "\n📉 Loss: %g × L1 + %g × (1 − SSIM)%s\n", cfg.LossAlpha, cfg.LossBeta, perceptual(cfg))
	fmt.Fprintf(notebook.Out, "\n⚙️  Optimizer: AdamW, learning rate %g, weight decay %g, gradients clipped to a norm of %g\n", cfg.LearningRate, cfg.WeightDecay, cfg.GradientClip)
	fmt.Fprintf(notebook.Out, "\n📅 Schedule: %s over %d epochs, warm-up %d, down to %g\n", cfg.Scheduler, cfg.NumEpochs, cfg.WarmupEpochs, cfg.MinLR)
	describeStart(cfg)
}

// perceptual is what the perceptual loss adds to the sum, if it is wanted.
func perceptual(cfg config.Config) string {
	if cfg.LossGamma == 0 {
		return ""
	}
	return fmt.Sprintf(" + %g × perceptual (VGG16 from %s)", cfg.LossGamma, cfg.VGGWeights)
}

func upsampling(cfg config.Config) string {
	if cfg.ModelBilinear {
		return fmt.Sprintf("%d features, bilinear upsampling", cfg.ModelFeatures)
	}
	return fmt.Sprintf("%d features, transposed convolutions", cfg.ModelFeatures)
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func describeStart(cfg config.Config) {
	entries, err := checkpoint.List(notebook.Experiment(cfg).CheckpointsDir())
	notebook.Check(err)
	switch {
	case len(entries) == 0:
		fmt.Fprintln(notebook.Out, "\n🆕 Training will start from the beginning")
	case entries[0].Err != nil:
		fmt.Fprintf(notebook.Out, "\n⚠️  None of the %d checkpoints can be read\n", len(entries))
	default:
		fmt.Fprintf(notebook.Out, "\n🔄 Newest checkpoint: %s, %d epochs done", entries[0].Name(), entries[0].Epoch)
		if entries[0].Position > 0 {
			fmt.Fprintf(notebook.Out, " and %d patches of the next", entries[0].Position)
		}
		fmt.Fprintln(notebook.Out)
	}
}

// Train runs the training loop on the current experiment until it is done or
// something stops it. An interruption (Jupyter's button, Ctrl+C, SIGTERM, a
// vanished kernel) ends it normally, with everything saved.
func Train(cfg config.Config) {
	exp := notebook.Experiment(cfg)
	lock, err := exp.Lock()
	notebook.Check(err)
	defer lock.Release()
	notebook.Check(exp.Prepare())
	data, err := notebook.OpenData(cfg, warn)
	notebook.Check(err)
	engine, err := backend.Open(cfg.Device)
	notebook.Check(err)
	fmt.Fprintf(notebook.Out, "🖥️  %s\n", engine.Choice)

	ctx, stop := interruptible()
	defer stop()
	patches := train.Data{Train: data.Train, Val: data.Val}
	reporter := withTensorBoard(notebook.NewProgress(exp, cfg), exp)
	result, err := train.Run(ctx, exp, cfg, patches, train.Options{Backend: engine.Backend, GPU: engine.OnGPU(), Reporter: reporter})
	notebook.Check(err)
	sayResult(cfg, exp, result)
}

func sayResult(cfg config.Config, exp *experiment.Experiment, r *train.Result) {
	switch r.Outcome {
	case train.Completed:
		fmt.Fprintf(notebook.Out, "\n✅ Training completed: %d epochs\n", r.History.Len())
	case train.EarlyStopped:
		fmt.Fprintf(notebook.Out, "\n⏹️  Early stopping: no better validation loss for %d validations, after epoch %d\n", cfg.Patience, r.History.Len())
		fmt.Fprintln(notebook.Out, "   To train on all the same, raise Patience")
	}
	if r.BestEpoch > 0 {
		fmt.Fprintf(notebook.Out, "🏆 Best epoch: %d (val_loss: %.4f)\n", r.BestEpoch, r.BestLoss)
	}
	fmt.Fprintf(notebook.Out, "📊 Training history saved to %s\n", notebook.Short(exp.HistoryPath()))
}

func warn(line string) { fmt.Fprintf(notebook.Out, "⚠️  %s\n", line) }

// interruptible returns a context that ends when somebody wants the program to
// stop: SIGINT (Jupyter's button, Ctrl+C), SIGTERM (a scheduler), SIGHUP (a
// closed terminal), or when the parent process, the kernel, has vanished. A
// broken pipe must not kill the program before it has saved, so it is ignored.
func interruptible() (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	parent := os.Getppid()
	go func() {
		// Twice a second leaves the save most of the 4 s that it may take.
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if os.Getppid() != parent {
					cancel()
				}
			}
		}
	}()
	return ctx, func() { cancel(); stop() }
}

// loadBest returns the best weights of an experiment, ready to restore with.
func loadBest(cfg config.Config, exp *experiment.Experiment) (*restore.Restorer, *checkpoint.State, error) {
	dir := exp.CheckpointsDir()
	if entries, err := checkpoint.List(dir); err == nil && len(entries) == 0 {
		return nil, nil, fmt.Errorf("%w: %s has no checkpoint; run the cell under \"9. Training Loop\" first", notebook.ErrNothing, exp.Name())
	}
	if err := checkpoint.EnsureBest(dir, func(line string) { fmt.Fprintln(notebook.Out, line) }); err != nil {
		return nil, nil, err
	}
	state, err := checkpoint.Load(checkpoint.Path(dir, checkpoint.Best))
	if err != nil {
		return nil, nil, err
	}
	options := model.Options{Features: cfg.ModelFeatures, Bilinear: cfg.ModelBilinear}
	name := cfg.Model
	if saved := state.Config; saved.Model != "" { // the checkpoint knows its own network
		name, options = saved.Model, model.Options{Features: saved.ModelFeatures, Bilinear: saved.ModelBilinear}
	}
	net, err := model.New(name, options)
	if err != nil {
		return nil, nil, err
	}
	values := map[string][]float32{}
	for _, t := range state.Network() {
		values[t.Name] = t.Values
	}
	engine, err := backend.Open(cfg.Device)
	if err != nil {
		return nil, nil, err
	}
	r, err := restore.New(engine.Backend, net, values)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", strings.TrimPrefix(checkpoint.Path(dir, checkpoint.Best), exp.Dir+"/"), err)
	}
	return r, state, nil
}
