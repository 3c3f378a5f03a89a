// Package progress shows training while it runs: under a cell, on a terminal, in a log,
// and for who watches from elsewhere.
package progress

import (
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
	"rekindle/pkg/machine"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/rgb"
)

// Display shows training while it runs: in a notebook a panel and a curve that
// redraw in place and end as a table of epochs, elsewhere one line of text for
// each epoch, with a running line below it on a terminal.
//
// It is the Reporter of package train. Its methods return at once: drawing
// happens in the background, at most once a second, and a front end that hangs
// or is gone does not hold training up. For those who watch from elsewhere it also
// keeps the experiment's progress.json, see [experiment.Progress].
type Display struct {
	mu      sync.Mutex
	run     running
	changed bool
	paint   func(running) // shows the state in a notebook; nil elsewhere
	course  *course       // nil: crops are not kept
	crops   *cropsOf      // that were kept last
	held    func() int64  // bytes that the process holds where it computes
	file    *status       // progress.json; nil: not kept
	painted time.Time
	text    []*textView
	now     func() time.Time
	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once
}

const (
	paintEvery = time.Second
	// aliveEvery renews what is shown and kept while a step takes long, so that
	// nobody thinks that it stands still.
	aliveEvery = 2 * time.Second
	curveEvery = 2 * time.Second
	// askEvery spares the GPU's driver, which is asked by starting a program.
	askEvery = 5 * time.Second
)

// New starts a display for training the experiment, on a GPU or not. The
// history on disk is where the curve begins after a resume.
func New(exp *experiment.Experiment, cfg config.Config, onGPU bool) *Display {
	p := newDisplay(time.Now)
	p.run.onGPU = onGPU
	if h, err := exp.History(); err == nil {
		p.run.history = *h
	}
	p.run.epochs = cfg.NumEpochs
	p.course = newCourse(exp)
	p.file = &status{exp: exp, owner: experiment.Myself()}
	if onGPU {
		p.held = p.askNowAndThen(machine.ProcessGPUMemory, askEvery)
	}
	if cell.InNotebook() {
		p.paint = newPanel().paint
	} else {
		p.text = append(p.text, &textView{w: os.Stdout, live: machine.IsTerminal(os.Stdout), now: time.Now})
	}
	if log := cell.Log(); log != nil {
		p.text = append(p.text, &textView{w: log, live: os.Getenv(cell.LiveVariable) != "", now: time.Now})
	}
	go p.repaint()
	return p
}

func newDisplay(now func() time.Time) *Display {
	return &Display{now: now, stop: make(chan struct{}), stopped: make(chan struct{}), run: running{speeds: map[int]float64{}}, held: inMainMemory}
}

func inMainMemory() int64 {
	now, _ := machine.ProcessMemory()
	return now
}

// askNowAndThen makes a function that returns at once what ask said last; ask
// itself runs in the background until the display is closed.
func (p *Display) askNowAndThen(ask func() int64, every time.Duration) func() int64 {
	var last atomic.Int64
	go func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			last.Store(ask())
			select {
			case <-ticker.C:
			case <-p.stop:
				return
			}
		}
	}()
	return last.Load
}

// Start says which epochs will run, 1-based and inclusive, and how many batches
// an epoch has.
func (p *Display) Start(startEpoch, numEpochs, batchesPerEpoch int) {
	p.update(func(r *running) {
		r.epochs, r.batches, r.epoch, r.fromEpoch = numEpochs, batchesPerEpoch, startEpoch, startEpoch
		r.history.Resize(min(r.history.Len(), startEpoch-1))
		if epoch, loss, ok := r.history.Best(); ok {
			r.bestEpoch, r.bestLoss = epoch, loss
		}
	}, (*textView).start)
}

// Batch reports a finished batch, 1-based within its epoch, with the mean loss
// of the epoch so far.
func (p *Display) Batch(epoch, batch int, loss, imagesPerSecond float64) {
	p.update(func(r *running) {
		r.epoch, r.batch, r.loss, r.speed, r.moved = epoch, batch, loss, smooth(r.speed, imagesPerSecond), p.now()
		r.speeds[epoch] = r.speed
		r.estimate(p.now().Add(-machine.Standstill()))
	}, (*textView).batch)
}

// EpochDone reports a finished epoch; bestEpoch is 0 before the first validation.
func (p *Display) EpochDone(epoch int, e history.Epoch, bestEpoch int, bestLoss float64) {
	p.update(func(r *running) {
		r.history.Resize(epoch - 1)
		r.history.Append(e)
		r.epoch, r.batch, r.bestEpoch, r.bestLoss = epoch, r.batches, bestEpoch, bestLoss
		r.estimate(p.now().Add(-machine.Standstill()))
	}, (*textView).epochDone)
}

// Validated reports what the weights of an epoch made of a few validation
// patches, always the same ones.
func (p *Display) Validated(epoch int, degraded, restored, clean []*rgb.Image) {
	p.update(func(r *running) { r.crops = &cropsOf{epoch, Crops{degraded, restored, clean}} }, func(*textView, running) {})
}

// NothingLeft says that all epochs were done before: there will be no Start. The
// table of epochs is shown as it was.
func (p *Display) NothingLeft() {
	p.update(func(r *running) {
		r.whole, r.epoch = true, r.history.Len()
		if epoch, loss, ok := r.history.Best(); ok {
			r.bestEpoch, r.bestLoss = epoch, loss
		}
	}, func(*textView, running) {})
}

// Message prints a line for people.
func (p *Display) Message(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range p.text {
		v.clear()
	}
	cell.Say(format, args...)
}

// Close ends the display. In a notebook the panel becomes a table of epochs.
func (p *Display) Close() {
	p.once.Do(func() {
		p.update(func(r *running) { r.closed = true }, (*textView).end)
		close(p.stop)
		<-p.stopped
	})
}

// update changes the state, then tells the text views.
func (p *Display) update(change func(*running), tell func(*textView, running)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.run)
	p.changed = true
	for _, v := range p.text {
		tell(v, p.run)
	}
}

// repaint shows the newest state in the notebook, now and then and at the end.
func (p *Display) repaint() {
	defer close(p.stopped)
	ticker := time.NewTicker(paintEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.show()
		case <-p.stop:
			p.show()
			cell.Flush()
			p.file.remove()
			return
		}
	}
}

func (p *Display) show() {
	p.mu.Lock()
	changed, kept := p.changed, p.crops
	p.changed, p.crops = false, p.run.crops
	now := time.Now()
	if changed = changed || now.Sub(p.painted) >= aliveEvery; changed {
		p.painted = now
	}
	r := p.run
	r.asOf = now
	r.history = r.history.Clone()
	r.speeds = maps.Clone(r.speeds)
	p.mu.Unlock()
	if p.course != nil && r.crops != kept {
		if err := p.course.add(r.crops.epoch, r.crops.Crops); err != nil {
			p.course = nil // once: training does not depend on it
			p.Message("⚠️  The pictures of the course of training cannot be kept: %v", err)
		}
	}
	if !changed || p.file == nil && p.paint == nil {
		return
	}
	r.memory = p.held()
	p.file.write(r)
	if p.paint != nil {
		p.paint(r)
	}
}
