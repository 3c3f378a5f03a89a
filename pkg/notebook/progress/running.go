package progress

import (
	"time"

	"rekindle/pkg/history"
)

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
