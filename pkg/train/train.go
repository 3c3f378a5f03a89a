// Package train runs training: epochs, validation, the learning-rate schedule,
// checkpoints, early stopping, and everything that can stop a run in between.
//
// A run is a pure function of (config, State). [Run] loads the newest good State
// of an experiment, or makes a fresh one, and advances it until the planned
// epochs are done or something stops it; what happened is in the [Result]. Ten
// epochs in one go and ten epochs with seven interruptions give the same
// weights bit for bit on the same backend.
//
//	data := train.Data{Train: set.Train(cfg.PatchSize, cfg.PatchesPerImage, cfg.Seed), Val: val.Validation(cfg.PatchSize, cfg.ValPatchesPerImage, cfg.Seed)}
//	result, err := train.Run(ctx, exp, cfg, data, train.Options{Backend: engine.Backend, GPU: engine.OnGPU()})
//
// Cancelling ctx stops the run at the last finished batch with an emergency
// checkpoint, within two seconds and the time to write it, however long a step takes.
package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"rekindle/pkg/backend"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
	"rekindle/pkg/loss"
	"rekindle/pkg/loss/vgg"
	"rekindle/pkg/model"
	"rekindle/pkg/optim"
	"rekindle/pkg/rgb"
	"rekindle/pkg/train/step"
)

var nan = math.NaN()

// Data is what a run trains on and is judged by: patches of the configuration's
// PatchSize, drawn with its Seed.
type Data struct {
	Train, Val *dataset.Sampler
	Identity   *dataset.Identity // which pictures these are, kept in the State; nil: not known
}

// Options are the surroundings of a run.
type Options struct {
	Backend  compute.Backend  // from package backend
	GPU      bool             // Backend computes on a GPU, where UseAMP has an effect
	Devices  int              // of the Backend, over which each batch is divided; 0: the first one alone
	Reporter Reporter         // nil: Silent
	FillUp   bool             // batches that are not full are filled up on the Go engine too, as they are on XLA and on several devices
	Now      func() time.Time // nil: time.Now
	Lock     *experiment.Lock // that of the experiment, kept also where its file is removed; nil: it is the caller's matter
}

// Reporter is told how a run goes. Calls come from one goroutine.
type Reporter interface {
	// Start says which epochs will run (1-based, inclusive) and how many batches
	// an epoch has.
	Start(startEpoch, numEpochs, batchesPerEpoch int)
	// NothingLeft says, in place of Start, that the run was over before it began.
	NothingLeft()
	// Batch reports a finished batch, 1-based, with its training loss.
	Batch(epoch, batch int, loss, imagesPerSecond float64)
	// EpochDone reports a finished epoch; bestEpoch is 0 before the first validation.
	EpochDone(epoch int, e history.Epoch, bestEpoch int, bestLoss float64)
	// Validated shows what the weights of an epoch make of a few validation
	// patches, always the same ones, in the same order.
	Validated(epoch int, degraded, restored, clean []*rgb.Image)
	// Message prints a line for people.
	Message(format string, args ...any)
	// Close ends the display.
	Close()
}

// Outcome is how a run ended.
type Outcome string

const (
	Completed    Outcome = "completed"     // all planned epochs are done
	EarlyStopped Outcome = "early_stopped" // no better validation loss for Patience validations
	Interrupted  Outcome = "interrupted"   // ctx was cancelled; an emergency checkpoint was saved
	LimitReached Outcome = "limit_reached" // MaxSteps or MaxMinutes of this session are over; the next one goes on
	OutOfMemory  Outcome = "out_of_memory" // a batch did not fit; an emergency checkpoint was saved
	Diverged     Outcome = "failed"        // the loss became NaN or infinite too often; the State before was saved
)

// Result is what a run leaves in memory; the experiment's folder has the rest.
type Result struct {
	Outcome    Outcome
	History    history.History
	BestEpoch  int     // 0: never validated
	BestLoss   float64 // NaN: never validated
	Checkpoint string  // the file that resume will take

	Exp *experiment.Experiment // where its folder lies now, see [saver.follow]
}

// ErrOutOfMemory is returned, wrapped, when a batch does not fit into memory.
var ErrOutOfMemory = errors.New("out of memory")

// ErrDiverged is returned, wrapped, when the loss is NaN or infinite again and again.
var ErrDiverged = errors.New("the loss is not a number")

// Silent is the Reporter of runs that nobody watches, and what other Reporters
// embed that look at some of it.
type Silent struct{}

func (Silent) Start(int, int, int)                                     {}
func (Silent) NothingLeft()                                            {}
func (Silent) Batch(int, int, float64, float64)                        {}
func (Silent) EpochDone(int, history.Epoch, int, float64)              {}
func (Silent) Validated(int, []*rgb.Image, []*rgb.Image, []*rgb.Image) {}
func (Silent) Message(string, ...any)                                  {}
func (Silent) Close()                                                  {}

// Run trains on from the newest State of the experiment, or from a fresh one.
//
// The caller must hold the experiment's lock. A nil error comes with the
// outcomes Completed, EarlyStopped, Interrupted and LimitReached; OutOfMemory and Diverged come
// with an error that says what to do, and a Result all the same. Any other error
// means that training did not start or could not be saved.
func Run(ctx context.Context, exp *experiment.Experiment, cfg config.Config, data Data, opts Options) (*Result, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	t := task{exp: exp, cfg: cfg, data: data, onGPU: opts.GPU, engine: engineName(opts.Backend, opts.Devices), report: opts.Reporter, now: opts.Now}
	if t.report == nil {
		t.report = Silent{}
	}
	if t.now == nil {
		t.now = time.Now
	}
	defer t.report.Close()
	l, err := newLoop(t, opts)
	if err != nil {
		return nil, err
	}
	defer l.saver.letGo()
	defer l.stopLimit()
	defer l.device.memory.end(ctx)
	outcome, err := l.epochs(ctx)
	if outcome == "" {
		return nil, err
	}
	l.session.Status = string(outcome)
	if e := l.saver.record(l.session, l.state); e != nil && err == nil {
		err = e
	}
	return &Result{outcome, l.state.History, l.state.BestEpoch, l.state.BestLoss, l.saver.file, l.saver.exp}, err
}

// engineName says what computes a run. Runs of the same name are the same bit for bit.
func engineName(on compute.Backend, devices int) string {
	name := backend.NameOf(on)
	if devices > 1 {
		name += fmt.Sprintf(", %d devices", devices)
	}
	return name
}

// newLoop finds the State to start from, checks that it can be saved, and puts
// it on the device.
func newLoop(t task, opts Options) (*loop, error) {
	started := t.now()
	net, err := model.New(t.cfg.Model, model.OptionsOf(t.cfg))
	if err != nil {
		return nil, err
	}
	for _, s := range []*dataset.Sampler{t.data.Train, t.data.Val} {
		if s.PatchSize() != t.cfg.PatchSize {
			return nil, fmt.Errorf("train: the data's patches have %d pixels a side, PatchSize is %d: open the data again with this configuration", s.PatchSize(), t.cfg.PatchSize)
		}
		if net.TakesSigma() && !s.KnowsLevels() {
			return nil, fmt.Errorf("train: %s must be told the level of the noise, which is not known of these pictures; choose a Degradation that is noise (gaussian, correlated_gaussian, poisson_gaussian, each also with _jpeg) and let its copies be made here, or another Model", net.Name)
		}
	}
	goal, err := lossOf(t.cfg)
	if err != nil {
		return nil, err
	}
	from, err := find(t, net)
	if err != nil {
		return nil, err
	}
	w := &saver{task: t, file: from.file, lock: opts.Lock}
	if err := w.preflight(from.state); err != nil {
		return nil, err
	}
	optimizer := optim.Default()
	optimizer.WeightDecay, optimizer.ClipNorm = t.cfg.WeightDecay, t.cfg.GradientClip
	e, err := step.New(opts.Backend, from.net, goal, optimizer, step.Options{
		Mixed: t.cfg.UseAMP && opts.GPU && canMix(opts.Backend, t.report), Recompute: t.cfg.GradientCheckpointing, Devices: opts.Devices, FillUp: opts.FillUp, EMADecay: t.cfg.EMADecay,
	})
	if err != nil {
		return nil, err
	}
	d := &device{engine: e, grace: w.grace(), report: t.report}
	d.put(from.state)
	d.memory = newMemory(t.cfg.MemoryLimitMB, opts.GPU)
	d.memory.devices = opts.Devices
	r := &oomRetry{device: d, state: from.state, batch: t.cfg.BatchSize, halves: t.cfg.OOMPolicy == "halve"}
	return &loop{
		task: t, net: from.net, state: from.state, device: d, retry: r, saver: w, stopLimit: backend.LimitGarbage(opts.Backend),
		session: experiment.Session{Started: started, Engine: t.engine, FromEpoch: from.state.Epoch + 1, Changes: from.changes}, from: from.state.Step, rejected: -1, remeasure: from.remeasure,
	}, nil
}

// canMix tries what UseAMP asks for, before a run depends on it.
func canMix(on compute.Backend, report Reporter) bool {
	err := backend.Convolve(on, dtypes.BFloat16)
	if err != nil {
		report.Message("⚠️  UseAMP: this engine does not convolve in bfloat16 (%v); training goes on in float32", err)
	}
	return err == nil
}

// lossOf returns the loss of a configuration, with the weights of VGG16 if they
// are needed. These are constants of the compiled steps: they are neither
// trained nor saved.
func lossOf(cfg config.Config) (loss.Combined, error) {
	l := loss.Combined{Alpha: cfg.LossAlpha, Beta: cfg.LossBeta, Gamma: cfg.LossGamma, Charbonnier: cfg.LossCharbonnier}
	if cfg.LossGamma > 0 {
		var err error
		if l.VGG, err = vgg.Open(cfg.VGGWeights); err != nil {
			return l, fmt.Errorf("VGGWeights: %w", err)
		}
	}
	return l, nil
}
