// Package compute holds the functions of the notebook's cells that need the
// engine: training the network and applying it. Cells that do not compute use
// the packages notebook and network, which are quick to build.
//
// Every function prints what a person wants to see, and on an error prints one
// sentence to standard error and ends the cell with exit status 1.
package compute

import (
	"context"
	"errors"
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
	"rekindle/pkg/figures"
	"rekindle/pkg/interrupt"
	"rekindle/pkg/model"
	"rekindle/pkg/notebook"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/notebook/progress"
	"rekindle/pkg/restore"
	"rekindle/pkg/train"
)

// Train runs the training loop on the current experiment until it is done or
// something stops it. An interruption (Jupyter's button, Ctrl+C, SIGTERM, a
// vanished kernel) ends it normally, with everything saved.
func Train(cfg config.Config) { trainOn(cfg, notebook.OpenData) }

// opener reads the pictures of a configuration.
type opener func(cfg config.Config, warn func(string)) (*notebook.Data, error)

func trainOn(cfg config.Config, open opener) {
	cell.BeginAnew()
	exp := notebook.Experiment(cfg)
	ctx, stop := interruptible() // before the lock is taken: it must not outlive its owner
	lock, err := exp.Lock()
	cell.Check(err)
	if lock.Warning != "" {
		cell.Warn(lock.Warning)
	}
	err = trainLocked(ctx, cfg, exp, lock, open)
	if errors.Is(err, errNotBegun) { // no failure, as an interruption of training is none
		cell.Warn(err.Error())
		err = nil
	}
	_ = lock.Release() // before Check ends the program: what stays locked counts as killed
	stop()             // from here on a signal kills
	cell.Check(err)
}

func trainLocked(ctx context.Context, cfg config.Config, exp *experiment.Experiment, lock *experiment.Lock, open opener) (err error) {
	var result *train.Result
	chat := withTelegram(nil, exp, cfg)
	defer func() {
		if result == nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			err = errNotBegun
		}
		if errors.Is(err, errNotBegun) || result != nil && result.Outcome == train.Interrupted {
			cell.Interrupted()
		}
		chat.finish(ctx, result, err)
	}()
	if err := exp.Prepare(); err != nil {
		return err
	}
	data, err := interrupt.Do(ctx, func() (*notebook.Data, error) { return open(cfg, cell.Warn) })
	if err != nil {
		return err
	}
	id, err := interrupt.Do(ctx, data.Identity)
	if err != nil {
		return err
	}
	engine, err := interrupt.Do(ctx, func() (*backend.Engine, error) { return backend.Open(cfg.Device) })
	if err != nil {
		return err
	}
	cell.Say("🖥️  %s", engine.Choice)
	devices := engine.Divide(cfg.Devices)
	if devices > 0 {
		cell.Say("   Each batch is divided over %d devices", devices)
	}

	patches := train.Data{Train: data.Train, Val: data.Val, Identity: &id}
	chat.Reporter = progress.New(exp, cfg, engine.OnGPU()) // not before: what fails until here has nothing to show
	reporter := withTensorBoard(chat, exp)
	result, err = train.Run(ctx, exp, cfg, patches, train.Options{Backend: engine.Backend, GPU: engine.OnGPU(), Devices: devices, Reporter: reporter, Lock: lock})
	if err != nil {
		return err
	}
	sayResult(cfg, result)
	return nil
}

var errNotBegun = errors.New("interrupted before training began; nothing was changed, so run the cell again when you like")

func sayResult(cfg config.Config, r *train.Result) {
	switch r.Outcome {
	case train.Completed:
		cell.Say("\n✅ Training completed: %d epochs", r.History.Len())
	case train.EarlyStopped:
		cell.Say("\n⏹️  Early stopping: no better validation loss for %d validations, after epoch %d", cfg.Patience, r.History.Len())
		cell.Say("   To train on all the same, raise Patience")
	}
	if r.BestEpoch > 0 {
		cell.Say("🏆 Best epoch: %d (val_loss: %s)", r.BestEpoch, figures.Loss(r.BestLoss))
	}
	cell.Say("📊 Training history saved to %s", cell.Short(r.Exp.HistoryPath()))
}

// interruptible returns a context that ends when somebody wants the program to
// stop with one of [interrupt.Signals], or when the parent process, the
// kernel, has vanished. A broken pipe must not kill the program before it has
// saved, so it is ignored.
func interruptible() (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := interrupt.Context()
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

// heavy is for a cell that has nothing to save when it is interrupted: ctx ends then, and
// check, which is [cell.Check], ends the cell with a sentence.
func heavy(sentence string) (ctx context.Context, check func(error), stop func()) {
	ctx, stop = interruptible()
	return ctx, func(err error) {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			err = errors.New(sentence)
		}
		cell.Check(err)
	}, stop
}

// loadBest reads the best checkpoint of an experiment, made from the newest one
// where there is none; the newest itself where no epoch was validated.
func loadBest(exp *experiment.Experiment) (*checkpoint.State, error) {
	dir := exp.Checkpoints()
	if entries, err := dir.List(); err == nil && len(entries) == 0 {
		return nil, fmt.Errorf("%w: %s has no checkpoint; run the cell under \"9. Training Loop\" first", cell.ErrNothing, exp.Name())
	}
	return dir.LoadBest(func(line string) { cell.Say("%s", line) })
}

// isBest reports whether the weights are those of the lowest validation loss, as
// far as the file says: one that PyTorch made is what it is called.
func isBest(s *checkpoint.State) bool {
	return s.Config.Model == "" || s.Position == 0 && s.BestEpoch == s.Epoch && s.HasBest()
}

// networkOf says which network a checkpoint's weights are of. One that PyTorch
// made does not know; it is taken for that of the configuration.
func networkOf(cfg config.Config, state *checkpoint.State) (string, model.Options) {
	if state.Config.Model != "" {
		cfg = state.Config
	}
	return model.NameOf(cfg.Model, state.Has), model.OptionsOf(cfg)
}

// newRestorer opens the engine and gives it the weights of a checkpoint.
func newRestorer(cfg config.Config, exp *experiment.Experiment, state *checkpoint.State) (*restore.Restorer, error) {
	net, err := model.New(networkOf(cfg, state))
	if err != nil {
		return nil, err
	}
	values := map[string][]float32{}
	for _, t := range state.Network() {
		values[t.Name] = t.Values
	}
	engine, err := backend.Open(cfg.Device)
	if err != nil {
		return nil, err
	}
	r, err := restore.New(engine.Backend, net, values)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.TrimPrefix(exp.Checkpoints().Path(checkpoint.Best), exp.Dir+"/"), err)
	}
	return r, nil
}
