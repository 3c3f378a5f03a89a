package notebook

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/figures"
	"rekindle/pkg/history"
	"rekindle/pkg/machine"
	"rekindle/pkg/rgb"
)

// Progress shows training while it runs: in a notebook a panel and a curve that
// redraw in place and end as a table of epochs, elsewhere one line of text for
// each epoch, with a running line below it on a terminal.
//
// It is the Reporter of package train. Its methods return at once: drawing
// happens in the background, at most once a second, and a front end that hangs
// or is gone does not hold training up. For those who watch from elsewhere it also
// keeps the experiment's progress.json, see [experiment.Progress].
type Progress struct {
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

// running is what is known about a run at one moment.
type running struct {
	history         history.History // of all epochs, earlier sessions included
	epochs, batches int             // planned epochs, batches in each
	epoch, batch    int             // where the run stands; epoch is the one under way
	fromEpoch       int             // the first epoch of this session
	moved           time.Time       // when the last batch was finished
	asOf            time.Time       // the moment
	whole           bool            // shown also where no batch was trained
	watched         bool            // by another program than the one that trains
	note            string          // what is to be said at the end
	loss            float64         // mean of the epoch under way
	speed           float64         // images per second
	bestEpoch       int             // 0: not validated yet
	bestLoss        float64
	speeds          map[int]float64 // images per second by finished epoch of this session
	memory          int64           // bytes that the process holds, on the GPU if onGPU; 0: unknown
	onGPU           bool
	left            time.Duration // 0: not known yet
	closed          bool

	crops *cropsOf // the newest that were validated; nil: none yet

	firstDone int // batches done when firstAt was taken
	firstAt   time.Time
}

// cropsOf are the crops of an epoch.
type cropsOf struct {
	epoch int
	Crops
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

// NewProgress starts a display for training the experiment, on a GPU or not. The
// history on disk is where the curve begins after a resume.
func NewProgress(exp *experiment.Experiment, cfg config.Config, onGPU bool) *Progress {
	p := newProgress(time.Now)
	p.run.onGPU = onGPU
	if h, err := loadHistory(exp); err == nil {
		p.run.history = *h
	}
	p.run.epochs = cfg.NumEpochs
	p.course = newCourse(exp)
	p.file = &status{exp: exp, owner: experiment.Myself()}
	if onGPU {
		p.held = p.askNowAndThen(machine.ProcessGPUMemory, askEvery)
	}
	if inNotebook() {
		p.paint = newPanel().paint
	} else {
		p.text = append(p.text, &textView{w: os.Stdout, live: machine.IsTerminal(os.Stdout), now: time.Now})
	}
	if log := runLog.get(); log != nil {
		p.text = append(p.text, &textView{w: &runLog, live: os.Getenv(LiveVariable) != "", now: time.Now})
	}
	go p.repaint()
	return p
}

// LiveVariable names an environment variable that is set where the log of a
// headless run is copied to a terminal.
const LiveVariable = "REKINDLE_LIVE"

func newProgress(now func() time.Time) *Progress {
	return &Progress{now: now, stop: make(chan struct{}), stopped: make(chan struct{}), run: running{speeds: map[int]float64{}}, held: inMainMemory}
}

func inMainMemory() int64 {
	now, _ := machine.ProcessMemory()
	return now
}

// askNowAndThen makes a function that returns at once what ask said last; ask
// itself runs in the background until the display is closed.
func (p *Progress) askNowAndThen(ask func() int64, every time.Duration) func() int64 {
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
func (p *Progress) Start(startEpoch, numEpochs, batchesPerEpoch int) {
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
func (p *Progress) Batch(epoch, batch int, loss, imagesPerSecond float64) {
	p.update(func(r *running) {
		r.epoch, r.batch, r.loss, r.speed, r.moved = epoch, batch, loss, smooth(r.speed, imagesPerSecond), p.now()
		r.speeds[epoch] = r.speed
		r.estimate(p.now())
	}, (*textView).batch)
}

// EpochDone reports a finished epoch; bestEpoch is 0 before the first validation.
func (p *Progress) EpochDone(epoch int, e history.Epoch, bestEpoch int, bestLoss float64) {
	p.update(func(r *running) {
		r.history.Resize(epoch - 1)
		r.history.Append(e)
		r.epoch, r.batch, r.bestEpoch, r.bestLoss = epoch, r.batches, bestEpoch, bestLoss
		r.estimate(p.now())
	}, (*textView).epochDone)
}

// Validated reports what the weights of an epoch made of a few validation
// patches, always the same ones.
func (p *Progress) Validated(epoch int, degraded, restored, clean []*rgb.Image) {
	p.update(func(r *running) { r.crops = &cropsOf{epoch, Crops{degraded, restored, clean}} }, func(*textView, running) {})
}

// NothingLeft says that all epochs were done before: there will be no Start. The
// table of epochs is shown as it was.
func (p *Progress) NothingLeft() {
	p.update(func(r *running) {
		r.whole, r.epoch = true, r.history.Len()
		if epoch, loss, ok := r.history.Best(); ok {
			r.bestEpoch, r.bestLoss = epoch, loss
		}
	}, func(*textView, running) {})
}

// Message prints a line for people.
func (p *Progress) Message(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range p.text {
		v.clear()
	}
	fmt.Fprintf(Out, format+"\n", args...)
}

// Close ends the display. In a notebook the panel becomes a table of epochs.
func (p *Progress) Close() {
	p.once.Do(func() {
		p.update(func(r *running) { r.closed = true }, (*textView).end)
		close(p.stop)
		<-p.stopped
	})
}

// update changes the state, then tells the text views.
func (p *Progress) update(change func(*running), tell func(*textView, running)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.run)
	p.changed = true
	for _, v := range p.text {
		tell(v, p.run)
	}
}

// repaint shows the newest state in the notebook, now and then and at the end.
func (p *Progress) repaint() {
	defer close(p.stopped)
	ticker := time.NewTicker(paintEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.show()
		case <-p.stop:
			p.show()
			flush()
			p.file.remove()
			return
		}
	}
}

func (p *Progress) show() {
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
	r.speeds = cloneMap(r.speeds)
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

// status keeps an experiment's progress.json. Training does not depend on it: on a
// disk that is full those who watch see that it grows old.
type status struct {
	exp   *experiment.Experiment
	owner experiment.Owner
}

func (s *status) write(r running) {
	if s == nil || r.closed || r.batches == 0 {
		return
	}
	_ = s.exp.SaveProgress(experiment.Progress{
		Owner: s.owner, Updated: r.asOf, Moved: r.moved,
		FromEpoch: r.fromEpoch, Epoch: r.epoch, NumEpochs: r.epochs, Batch: r.batch, Batches: r.batches,
		Loss: experiment.Number(r.loss), ImagesPerSecond: r.speed, MemoryMB: float64(r.memory) / (1 << 20), OnGPU: r.onGPU, SecondsLeft: r.left.Seconds(),
	})
}

func (s *status) remove() {
	if s != nil {
		_ = s.exp.RemoveProgress()
	}
}

func cloneMap(m map[int]float64) map[int]float64 {
	out := make(map[int]float64, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// done is how many batches of the whole run are finished.
func (r *running) done() int { return (r.epoch-1)*r.batches + r.batch }

// fraction is how much of the whole run is finished, earlier sessions included.
func (r *running) fraction() float64 {
	if total := r.epochs * r.batches; total > 0 {
		return min(1, float64(r.done())/float64(total))
	}
	return 0
}

// estimate works out the time left from the pace since the first batch of this
// session. That one is left out because it includes compiling.
func (r *running) estimate(now time.Time) {
	done := r.done()
	if r.firstAt.IsZero() {
		r.firstAt, r.firstDone = now, done
		return
	}
	if done > r.firstDone {
		pace := now.Sub(r.firstAt) / time.Duration(done-r.firstDone)
		r.left = pace * time.Duration(r.epochs*r.batches-done)
	}
}

// smooth averages speeds over about ten batches.
func smooth(old, new float64) float64 {
	if old == 0 {
		return new
	}
	return 0.9*old + 0.1*new
}

// textView writes a run as lines of text.
type textView struct {
	w    io.Writer
	live bool // a terminal: a running line may be overwritten
	now  func() time.Time

	shown time.Time // when the running line was written last
	drawn bool      // a running line is on the screen
	quiet time.Time // since when nothing was written
	begun time.Time
}

const header = "  epoch    train loss    val loss   val SSIM   val PSNR         lr       time   images/s    memory"

func (v *textView) start(r running) {
	v.begun, v.quiet = v.now(), v.now()
	fmt.Fprintf(v.w, "🚀 Training epochs %d to %d, %d batches each\n%s\n", r.epoch, r.epochs, r.batches, header)
}

// batch writes the running line: often on a terminal; elsewhere only when an
// epoch takes long, ever more seldom, so that a log of days stays readable.
func (v *textView) batch(r running) {
	now := v.now()
	if v.live {
		if now.Sub(v.shown) >= 200*time.Millisecond {
			v.shown, v.drawn = now, true
			fmt.Fprintf(v.w, "\r\x1b[K  %s", runningLine(r))
		}
		return
	}
	if now.Sub(v.quiet) >= max(30*time.Second, now.Sub(v.begun)/20) {
		v.quiet = now
		fmt.Fprintf(v.w, "      … %s\n", runningLine(r))
	}
}

func (v *textView) epochDone(r running) {
	v.clear()
	v.quiet = v.now()
	fmt.Fprintln(v.w, epochLine(r, r.history.Len()))
}

func (v *textView) end(running) { v.clear() }

// clear removes the running line, so that something else can be written.
func (v *textView) clear() {
	if v.drawn {
		fmt.Fprint(v.w, "\r\x1b[K")
	}
	v.drawn = false
}

func runningLine(r running) string {
	text := fmt.Sprintf("epoch %d/%d, batch %d/%d, %.0f %%, loss %s, %.1f images/s", r.epoch, r.epochs, r.batch, r.batches, 100*r.fraction(), figures.Loss(r.loss), r.speed)
	if r.left > 0 {
		text += ", " + figures.Duration(r.left) + " left"
	}
	return text
}

// epochLine is the row of a finished epoch, 1-based, under [header].
func epochLine(r running, epoch int) string {
	e := r.history.At(epoch - 1)
	mark := ""
	if epoch == r.bestEpoch {
		mark = "  ★ best"
	}
	return fmt.Sprintf("%7s    %10s  %10s %10s %10s %10s %10s %10s %9s%s", fmt.Sprintf("%d/%d", epoch, r.epochs),
		figures.Loss(e.TrainLoss), figures.Loss(e.ValLoss), figures.Loss(e.ValSSIM), figures.Decibels(e.ValPSNR), figures.Rate(e.LR), figures.Seconds(e.EpochTime), figures.Speed(r.speeds[epoch]), figures.Megabytes(e.MemoryAllocatedMB), mark)
}
