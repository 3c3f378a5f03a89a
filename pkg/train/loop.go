package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/figures"
	"rekindle/pkg/history"
	"rekindle/pkg/machine"
	"rekindle/pkg/model"
	"rekindle/pkg/rgb"
	"rekindle/pkg/schedule"
	"rekindle/pkg/train/step"
)

// task is what does not change while a run lasts.
type task struct {
	exp    *experiment.Experiment
	cfg    config.Config
	data   Data
	onGPU  bool
	engine string // its name, see [engineName]
	report Reporter
	now    func() time.Time
}

// working is a clock that stands still while the process is stopped, for durations.
func (t *task) working() time.Time { return t.now().Add(-machine.Standstill()) }

// loop advances a State epoch by epoch until the run is over.
type loop struct {
	task
	state     *checkpoint.State // the numbers of this moment; its arrays are on the device
	net       *model.Network
	device    *device
	retry     *oomRetry
	saver     *saver
	stopLimit func()             // of garbage
	remeasure bool               // the best loss, on the validation pictures of now
	session   experiment.Session // this one
	from      int64              // steps taken before it
	worthless int                // validations in a row, in this session, whose loss was not a number
	rejected  int                // position of the first of the batches that were left out last, one after the other; -1: none
}

func (l *loop) epochs(ctx context.Context) (Outcome, error) {
	if l.finished() != "" {
		l.report.Message("ℹ️  Nothing left to do: %s", l.whyFinished())
		l.report.NothingLeft()
	} else {
		batches := (l.data.Train.Len() + l.cfg.SamplesPerStep() - 1) / l.cfg.SamplesPerStep()
		l.report.Start(l.state.Epoch+1, l.cfg.NumEpochs, batches)
		if err := l.takeUpData(ctx); err != nil {
			return l.stop(ended(ctx, err))
		}
	}
	for l.finished() == "" {
		err := l.judge(ctx)
		if err == nil {
			err = l.epoch(ctx)
		}
		if err == nil && l.finished() == "" {
			err = l.limit()
		}
		if err != nil {
			return l.stop(ended(ctx, err))
		}
	}
	return l.finished(), nil
}

// judge says how good the weights are that a fine-tuning begins with, so that
// one sees whether it gains anything.
func (l *loop) judge(ctx context.Context) error {
	if l.cfg.InitialWeights == "" || l.state.Epoch > 0 || l.state.Position > 0 {
		return nil
	}
	v, err := l.validate(ctx, 0)
	if err == nil {
		l.report.Message("   Before training: val_loss: %s (L1: %s, SSIM: %s, PSNR: %s dB)", figures.Loss(mean(v.Partial, v.Loss)), figures.Loss(mean(v.Partial, v.L1)), figures.Loss(mean(v.Partial, v.SSIM)), figures.Decibels(mean(v.Partial, v.psnr)))
	}
	return err
}

// ended turns the cause of a cancelled ctx, which may be an error of the
// caller's own, into that of ctx.
func ended(ctx context.Context, err error) error {
	if errors.Is(err, context.Cause(ctx)) {
		return ctx.Err()
	}
	return err
}

// finished reports how the run ended, from the State alone, or "" if there is
// more to do.
func (l *loop) finished() Outcome {
	switch {
	case l.state.Epoch >= l.cfg.NumEpochs:
		return Completed
	case l.cfg.Patience > 0 && l.state.Patience >= l.cfg.Patience:
		return EarlyStopped
	}
	return ""
}

// whyFinished says what to write for more.
func (l *loop) whyFinished() string {
	if l.finished() == EarlyStopped {
		return fmt.Sprintf("early stopping has ended this run after epoch %d", l.state.Epoch)
	}
	return fmt.Sprintf("all %d epochs are done; to train on, raise NumEpochs", l.cfg.NumEpochs)
}

// errLimit ends a session, not the run.
var errLimit = errors.New("the limit of this session is reached")

// limit reports that this session has taken its MaxSteps or MaxMinutes.
func (l *loop) limit() error {
	if n := l.cfg.MaxSteps; n > 0 && l.state.Step-l.from >= int64(n) {
		return fmt.Errorf("%w: MaxSteps = %d", errLimit, n)
	}
	if m := l.cfg.MaxMinutes; m > 0 && l.now().Sub(l.session.Started).Minutes() >= m {
		return fmt.Errorf("%w: MaxMinutes = %g", errLimit, m)
	}
	return nil
}

// epoch trains what is left of the current epoch, validates and saves.
func (l *loop) epoch(ctx context.Context) error {
	epoch := l.state.Epoch + 1
	lr := schedule.Rate(l.cfg, l.state.Anchor, epoch)
	if err := l.train(ctx, epoch, lr); err != nil {
		return err
	}
	p := l.state.Partial
	if p.Samples == 0 && p.Rejected > 0 { // an epoch may have fewer batches than maxRejected
		return fmt.Errorf("%w in any batch of epoch %d; lower LearningRate or check the data", ErrDiverged, epoch)
	}
	e := history.Epoch{
		TrainLoss: mean(p, p.Loss), TrainL1: mean(p, p.L1), TrainSSIM: mean(p, p.SSIM),
		ValLoss: nan, ValL1: nan, ValSSIM: nan, ValPSNR: nan, InferenceTime: nan, EpochTime: p.Seconds, LR: lr,
	}
	validated := epoch%l.cfg.ValEvery == 0 || epoch == l.cfg.NumEpochs
	if validated {
		began := l.working()
		v, err := l.validate(ctx, epoch)
		if err != nil {
			return err
		}
		e.ValLoss, e.ValL1, e.ValSSIM, e.ValPSNR = mean(v.Partial, v.Loss), mean(v.Partial, v.L1), mean(v.Partial, v.SSIM), mean(v.Partial, v.psnr)
		l.report.Validated(epoch, v.degraded, v.restored, v.clean)
		e.InferenceTime = l.working().Sub(began).Seconds()
		e.EpochTime += e.InferenceTime
	}
	now, peak := l.device.memory.ofEpoch()
	e.MemoryAllocatedMB, e.MemoryReservedMB = float64(now)/machine.MB, float64(peak)/machine.MB
	l.complete(e, validated)
	s, err := l.device.snapshot(l.state)
	if err != nil {
		return err
	}
	if err := l.saver.epoch(s, validated); err != nil {
		return err
	}
	l.report.EpochDone(epoch, e, l.state.BestEpoch, l.state.BestLoss)
	if validated {
		return l.judged(epoch, e.ValLoss)
	}
	return nil
}

// judged names a validation loss that is not a number, and ends the run when it
// stays so. It does not count for Patience: that is for losses that are no better.
func (l *loop) judged(epoch int, loss float64) error {
	if isFinite(loss) {
		l.worthless = 0
		return nil
	}
	if l.worthless++; l.worthless < maxRejected {
		l.report.Message("⚠️  Not a number: the validation loss of epoch %d is %v, though its training loss is one; these weights cannot become the best (%d of at most %d in a row)",
			epoch, loss, l.worthless, maxRejected)
		return nil
	}
	return fmt.Errorf("%w in %d validations in a row, the last after epoch %d, though it is one in training: the weights for use or batch norm's statistics are spoilt, or a validation picture is; "+
		"lower LearningRate or check the data", ErrDiverged, l.worthless, epoch)
}

// train takes the optimizer steps that are left in the epoch.
func (l *loop) train(ctx context.Context, epoch int, lr float64) error {
	loader := l.data.Train.Batches(ctx, epoch, l.state.Position, l.cfg.SamplesPerStep(), l.cfg.NumWorkers)
	full := min(l.cfg.SamplesPerStep(), l.data.Train.Len())
	batches := newPrefetcher(loader, l.device.engine, full, l.onGPU && l.retry.atOnce() >= l.cfg.SamplesPerStep())
	defer batches.close()
	for {
		batch, err := batches.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		began := l.working()
		var m step.Measures
		err = l.retry.do(ctx, batch.N, func() (err error) {
			m, err = l.device.step(ctx, batch, l.retry.atOnce(), l.state.Step+1, lr)
			return err
		})
		if err == nil {
			err = l.take(m, batch.N)
		}
		if err != nil {
			return err
		}
		batches.done(batch)
		seconds := l.working().Sub(began).Seconds()
		l.state.Partial.Seconds += seconds
		number := (l.state.Position + l.cfg.SamplesPerStep() - 1) / l.cfg.SamplesPerStep()
		l.report.Batch(epoch, number, mean(l.state.Partial, l.state.Partial.Loss), float64(batch.N)/seconds)
		if l.state.Position < l.data.Train.Len() { // what is trained to its end is validated, too
			if err := l.limit(); err != nil {
				return err
			}
		}
		if l.saver.due() {
			s, err := l.device.snapshot(l.state)
			if err != nil {
				return err
			}
			if err := l.saver.put(s, checkpoint.Last, "in mid-epoch"); err != nil {
				return err
			}
		}
	}
}

// take counts a step with n samples.
func (l *loop) take(m step.Measures, n int) error {
	from := l.state.Position
	l.state.Position += n
	if !m.Finite() {
		if l.rejected < 0 {
			l.rejected = from
		}
		return l.reject(m)
	}
	l.rejected = -1
	l.state.Step++
	for i := range l.state.Model {
		if t := &l.state.Model[i]; t.IsCounter() {
			t.Count++
		}
	}
	addTo(&l.state.Partial, m, n)
	return nil
}

// maxRejected is how many batches of an epoch may give a loss that is not a
// number before the run stops, and how many validations in a row stop it.
const maxRejected = 3

// reject leaves a batch out whose loss or gradient is not a number: the weights
// stay those before it. The same batch is rejected again in a repeated run, so
// the run stays a pure function of its State.
func (l *loop) reject(m step.Measures) error {
	l.state.Partial.Rejected++
	what := fmt.Sprintf("loss %v, gradient norm %v, in epoch %d", m.Loss, m.GradientNorm, l.state.Epoch+1)
	if l.state.Partial.Rejected > maxRejected {
		return fmt.Errorf("%w: %s, after %d batches were left out; lower LearningRate or check the data", ErrDiverged, what, maxRejected)
	}
	l.report.Message("⚠️  Not a number: %s; going on from the state before this batch (%d of at most %d)", what, l.state.Partial.Rejected, maxRejected)
	return nil
}

// validation is what is measured of the validation patches, and what a person
// sees of them.
type validation struct {
	checkpoint.Partial
	psnr                      float64 // sum over samples
	degraded, restored, clean []*rgb.Image
}

// patchesShown is how many validation patches a person sees: the first of each of
// the first pictures.
const patchesShown = 3

// validate measures the weights on the validation patches.
func (l *loop) validate(ctx context.Context, epoch int) (v validation, err error) {
	err = l.retry.do(ctx, l.retry.atOnce(), func() error {
		v = validation{}
		size := min(l.retry.atOnce(), l.data.Val.Len())
		batches := newPrefetcher(l.data.Val.Batches(ctx, epoch, 0, size, l.cfg.NumWorkers), l.device.engine, size, l.onGPU)
		defer batches.close()
		for {
			batch, err := batches.next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			var shown []int // of this batch
			for k := range patchesShown {
				if i := k*l.cfg.ValPatchesPerImage - batch.From; 0 <= i && i < batch.N {
					shown = append(shown, i)
				}
			}
			m, err := l.device.evaluate(ctx, batch, shown != nil)
			if err != nil {
				return err
			}
			addTo(&v.Partial, m.Measures, batch.N)
			v.psnr += m.PSNR * float64(batch.N)
			picture := func(values []float32, i int) *rgb.Image {
				return rgb.FromPlanes(values[3*i*batch.Size*batch.Size:], batch.Size, batch.Size)
			}
			for _, i := range shown {
				v.degraded = append(v.degraded, picture(batch.Degraded, i))
				v.restored = append(v.restored, picture(m.Restored, i))
				v.clean = append(v.clean, picture(batch.Clean, i))
			}
			batches.done(batch)
		}
	})
	return v, err
}

// complete closes the epoch in the State.
func (l *loop) complete(e history.Epoch, validated bool) {
	s := l.state
	s.Epoch++
	s.Position, s.Partial, l.rejected = 0, checkpoint.Partial{}, -1
	s.History.Append(e)
	switch {
	case !validated || !isFinite(e.ValLoss):
	case !s.HasBest() || e.ValLoss < s.BestLoss:
		s.BestEpoch, s.BestLoss, s.Patience = s.Epoch, e.ValLoss, 0
	default:
		s.Patience++
	}
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func addTo(p *checkpoint.Partial, m step.Measures, n int) {
	p.Samples += n
	p.Loss += m.Loss * float64(n)
	p.L1 += m.L1 * float64(n)
	p.SSIM += m.SSIM * float64(n)
}

func mean(p checkpoint.Partial, sum float64) float64 {
	if p.Samples == 0 {
		return nan
	}
	return sum / float64(p.Samples)
}
