package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/experiment"
	"rekindle/pkg/loss"
	"rekindle/pkg/loss/vgg"
	"rekindle/pkg/machine"
	"rekindle/pkg/model"
	"rekindle/pkg/optim"
)

// run is one call of [Run]. Its State's numbers are those of this moment; its
// arrays live on the device, in at, and are copied out when something is saved.
type run struct {
	exp    *experiment.Experiment
	cfg    config.Config
	data   Data
	engine *engine
	report Reporter
	now    func() time.Time

	state     *checkpoint.State
	at        *arrays
	counted   int64 // steps that the State's batch-norm counters include
	memory    *memory
	onGPU     bool
	collector *collector
	safe      *checkpoint.State // the newest State held on the host, arrays included
	held      *arrays           // whose values it holds
	rejected  int               // position of the first of the batches that were left out last, one after the other; -1: none
	trialSave time.Duration     // what saving took before the first step
	lastSave  time.Time
	lastFile  string    // the checkpoint written last
	started   time.Time // of this session
	fromEpoch int       // first epoch of this session
	changes   []config.Change
}

func newRun(exp *experiment.Experiment, cfg config.Config, data Data, opts Options) (*run, error) {
	for _, s := range []*dataset.Sampler{data.Train, data.Val} {
		if s.PatchSize() != cfg.PatchSize {
			return nil, fmt.Errorf("train: the data's patches have %d pixels a side, PatchSize is %d: open the data again with this configuration", s.PatchSize(), cfg.PatchSize)
		}
	}
	net, err := model.New(cfg.Model, model.Options{Features: cfg.ModelFeatures, Bilinear: cfg.ModelBilinear})
	if err != nil {
		return nil, err
	}
	optimizer := optim.Default()
	optimizer.WeightDecay, optimizer.ClipNorm = cfg.WeightDecay, cfg.GradientClip
	goal, err := lossOf(cfg)
	if err != nil {
		return nil, err
	}
	w := ways{mixed: cfg.UseAMP && opts.GPU, recompute: cfg.GradientCheckpointing, devices: opts.Devices}
	engine, err := newEngine(opts.Backend, net, goal, optimizer, w)
	if err != nil {
		return nil, err
	}
	r := &run{exp: exp, cfg: cfg, data: data, engine: engine, report: opts.Reporter, now: opts.Now, onGPU: opts.GPU, rejected: -1}
	if r.report == nil {
		r.report = silent{}
	}
	if r.now == nil {
		r.now = time.Now
	}
	r.started = r.now()
	return r, nil
}

// lossOf returns the loss of a configuration, with the weights of VGG16 if they
// are needed. These are constants of the compiled steps: they are neither
// trained nor saved.
func lossOf(cfg config.Config) (loss.Combined, error) {
	l := loss.Combined{Alpha: cfg.LossAlpha, Beta: cfg.LossBeta, Gamma: cfg.LossGamma}
	if cfg.LossGamma > 0 {
		var err error
		if l.VGG, err = vgg.Open(cfg.VGGWeights); err != nil {
			return l, fmt.Errorf("VGGWeights: %w", err)
		}
	}
	return l, nil
}

// begin finds the State to start from, checks that it can be saved, and puts
// it on the device.
func (r *run) begin() error {
	if err := r.findState(); err != nil {
		return err
	}
	if err := r.preflight(); err != nil {
		return err
	}
	r.prepareAverage()
	r.at = r.engine.upload(r.state)
	safe := *r.state // which will move on
	safe.History, safe.Config = r.state.History.Clone(), r.cfg
	r.safe, r.held, r.counted = &safe, r.at, r.state.Step
	r.memory = newMemory(r.cfg.MemoryLimitMB)
	r.memory.onGPU = r.onGPU
	r.lastSave = r.now()
	r.fromEpoch = r.state.Epoch + 1
	return nil
}

// epochs advances the State until the run is over.
func (r *run) epochs(ctx context.Context) (Outcome, error) {
	if r.finished() == "" {
		batches := (r.data.Train.Len() + r.cfg.SamplesPerStep() - 1) / r.cfg.SamplesPerStep()
		r.report.Start(r.fromEpoch, r.cfg.NumEpochs, batches)
	}
	for r.finished() == "" {
		if err := r.epoch(ctx); err != nil {
			if errors.Is(err, context.Cause(ctx)) { // which may be an error of the caller's own
				err = ctx.Err()
			}
			return r.stop(err)
		}
	}
	return r.finished(), nil
}

// finished reports how the run ended, from the State alone, or "" if there is
// more to do.
func (r *run) finished() Outcome {
	switch {
	case r.state.Epoch >= r.cfg.NumEpochs:
		return Completed
	case r.cfg.Patience > 0 && r.state.Patience >= r.cfg.Patience:
		return EarlyStopped
	}
	return ""
}

// epoch trains what is left of the current epoch, validates and saves.
func (r *run) epoch(ctx context.Context) error {
	epoch := r.state.Epoch + 1
	lr := learningRate(r.cfg, r.state.Anchor, epoch)
	if err := r.trainEpoch(ctx, epoch, lr); err != nil {
		return err
	}
	if p := r.state.Partial; p.Samples == 0 && p.Rejected > 0 { // an epoch may have fewer batches than maxRejected
		return fmt.Errorf("%w in any batch of epoch %d; lower LearningRate or check the data", ErrDiverged, epoch)
	}
	e := experiment.Epoch{
		TrainLoss: mean(r.state.Partial, r.state.Partial.Loss), TrainL1: mean(r.state.Partial, r.state.Partial.L1),
		TrainSSIM: mean(r.state.Partial, r.state.Partial.SSIM),
		ValLoss:   nan, ValL1: nan, ValSSIM: nan, InferenceTime: nan, LR: lr,
	}
	validated := epoch%r.cfg.ValEvery == 0 || epoch == r.cfg.NumEpochs
	if validated {
		if err := r.validate(ctx, epoch, &e); err != nil {
			return err
		}
	}
	r.completeEpoch(&e, validated)
	if err := r.saveEpoch(epoch, validated); err != nil {
		return err
	}
	r.report.EpochDone(epoch, e, r.state.BestEpoch, r.state.BestLoss)
	return nil
}

// trainEpoch takes the optimizer steps that are left in the epoch.
func (r *run) trainEpoch(ctx context.Context, epoch int, lr float64) error {
	loader := r.data.Train.Batches(ctx, epoch, r.state.Position, r.cfg.SamplesPerStep(), r.cfg.NumWorkers)
	full := min(r.cfg.SamplesPerStep(), r.data.Train.Len())
	feed := newFeed(loader, r.engine, full, r.onGPU && r.atOnce() >= r.cfg.SamplesPerStep())
	defer feed.close()
	for {
		batch, err := feed.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		began := r.now()
		err = r.step(ctx, batch, lr)
		for tries := 1; backend.IsOutOfMemory(err) && r.makeRoom(ctx, batch.N, tries); tries++ {
			err = r.step(ctx, batch, lr)
		}
		if err != nil {
			return err
		}
		feed.done(batch)
		seconds := r.now().Sub(began).Seconds()
		r.state.Partial.Seconds += seconds
		number := (r.state.Position + r.cfg.SamplesPerStep() - 1) / r.cfg.SamplesPerStep()
		r.report.Batch(epoch, number, mean(r.state.Partial, r.state.Partial.Loss), float64(batch.N)/seconds)
		if err := r.saveIfDue(); err != nil {
			return err
		}
	}
}

// step advances the State by one batch.
func (r *run) step(ctx context.Context, batch *input, lr float64) error {
	type outcome struct {
		next *arrays
		m    measures
		err  error
	}
	at, micro, t := r.at, r.atOnce(), r.state.Step+1
	if err := r.compile(ctx, "Training step", r.engine.compileStep(at, batch, micro)); err != nil {
		return err
	}
	got, err := within(ctx, r.memory, r.grace(), func() outcome {
		next, m, err := r.engine.advance(at, batch, micro, t, lr)
		if err == nil && at.average != nil {
			err = r.engine.moveAverage(at, next, r.cfg.EMADecay, t)
		}
		return outcome{next, m, err}
	})
	if err != nil {
		if got.next != nil {
			got.next.release()
		}
		return err
	}
	if got.err != nil {
		if got.next != nil { // the step succeeded, the average did not
			got.next.release()
		}
		return got.err
	}
	from := r.state.Position
	r.state.Position += batch.N
	if !isFinite(got.m.loss) || !isFinite(got.m.gradientNorm) {
		got.next.release()
		if r.rejected < 0 {
			r.rejected = from
		}
		return r.reject(got.m)
	}
	r.rejected = -1
	r.at.release()
	r.at = got.next
	r.state.Step++
	r.collector.stepDone()
	addTo(&r.state.Partial, got.m, batch.N)
	return nil
}

// compile does f, if there is something to compile, and says how long it took,
// how much memory it needs, and whether that is there.
func (r *run) compile(ctx context.Context, what string, f func() (*compilation, error)) error {
	if f == nil {
		return nil
	}
	type outcome struct {
		c   *compilation
		err error
	}
	got, err := within(ctx, r.memory, r.grace(), func() outcome {
		c, err := f()
		return outcome{c, err}
	})
	if err != nil {
		return err
	}
	if got.err != nil {
		return got.err
	}
	r.report.Message("⚙️  %s %s", what, got.c)
	if free := r.memory.free(); free > 0 && got.c.bytes > free {
		r.report.Message("⚠️  Only %s are free: this will probably run out of memory; a smaller BatchSize needs less", gigabytes(free))
	}
	return nil
}

// maxRejected is how many batches of an epoch may give a loss that is not a
// number before the run stops.
const maxRejected = 3

// reject leaves a batch out whose loss or gradient is not a number: the weights
// stay those before it. The same batch is rejected again in a repeated run, so
// the run stays a pure function of its State.
func (r *run) reject(m measures) error {
	r.state.Partial.Rejected++
	what := fmt.Sprintf("loss %v, gradient norm %v, in epoch %d", m.loss, m.gradientNorm, r.state.Epoch+1)
	if r.state.Partial.Rejected > maxRejected {
		return fmt.Errorf("%w: %s, after %d batches were left out; lower LearningRate or check the data", ErrDiverged, what, maxRejected)
	}
	r.report.Message("⚠️  Not a number: %s; going on from the state before this batch (%d of at most %d)", what, r.state.Partial.Rejected, maxRejected)
	return nil
}

// validate measures the weights on the validation crops.
func (r *run) validate(ctx context.Context, epoch int, e *experiment.Epoch) error {
	began := r.now()
	sum, err := r.measure(ctx, epoch)
	for tries := 1; backend.IsOutOfMemory(err) && r.makeRoom(ctx, r.atOnce(), tries); tries++ {
		sum, err = r.measure(ctx, epoch)
	}
	if err != nil {
		return err
	}
	e.ValLoss, e.ValL1, e.ValSSIM = mean(sum, sum.Loss), mean(sum, sum.L1), mean(sum, sum.SSIM)
	e.InferenceTime = r.now().Sub(began).Seconds()
	return nil
}

// measure sums over the validation crops.
func (r *run) measure(ctx context.Context, epoch int) (checkpoint.Partial, error) {
	size := min(r.atOnce(), r.data.Val.Len())
	feed := newFeed(r.data.Val.Batches(ctx, epoch, 0, size, r.cfg.NumWorkers), r.engine, size, r.onGPU)
	defer feed.close()
	var sum checkpoint.Partial
	for {
		batch, err := feed.next()
		if errors.Is(err, io.EOF) {
			return sum, nil
		}
		if err != nil {
			return sum, err
		}
		type outcome struct {
			m   measures
			err error
		}
		at := r.at.averaged()
		if err := r.compile(ctx, "Validation", r.engine.compileEvaluation(at, batch)); err != nil {
			return sum, err
		}
		got, err := within(ctx, r.memory, r.grace(), func() outcome {
			m, err := r.engine.evaluate(at, batch)
			return outcome{m, err}
		})
		if err != nil {
			return sum, err
		}
		if got.err != nil {
			return sum, got.err
		}
		addTo(&sum, got.m, batch.N)
		feed.done(batch)
	}
}

// completeEpoch closes the epoch in the State.
func (r *run) completeEpoch(e *experiment.Epoch, validated bool) {
	s := r.state
	e.EpochTime = s.Partial.Seconds
	if validated {
		e.EpochTime += e.InferenceTime
	}
	now, peak := r.memory.ofEpoch()
	e.MemoryAllocatedMB, e.MemoryReservedMB = float64(now)/machine.MB, float64(peak)/machine.MB
	s.Epoch++
	s.Position, s.Partial, r.rejected = 0, checkpoint.Partial{}, -1
	s.History.Append(*e)
	switch {
	case !validated:
	case isFinite(e.ValLoss) && (!s.HasBest() || e.ValLoss < s.BestLoss):
		s.BestEpoch, s.BestLoss, s.Patience = s.Epoch, e.ValLoss, 0
	default:
		s.Patience++
	}
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func addTo(p *checkpoint.Partial, m measures, n int) {
	p.Samples += n
	p.Loss += m.loss * float64(n)
	p.L1 += m.l1 * float64(n)
	p.SSIM += m.ssim * float64(n)
}

func mean(p checkpoint.Partial, sum float64) float64 {
	if p.Samples == 0 {
		return nan
	}
	return sum / float64(p.Samples)
}

func (r *run) result(outcome Outcome) *Result {
	return &Result{outcome, r.state.History, r.state.BestEpoch, r.state.BestLoss, r.lastFile}
}
