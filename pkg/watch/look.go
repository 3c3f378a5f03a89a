// Package watch shows a training run that goes on elsewhere: in another terminal, on
// another machine that shares the folder, in a notebook whose page was closed.
//
//	v := watch.Look(exp, nil)
//	fmt.Println(v.Line())
//
// It only reads files of the experiment: history.json, experiment_stats.json, and
// progress.json, which training renews every second. It takes no lock and writes
// nothing, so a folder that may only be read will do.
package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
)

// Phase is what the files say about whether a run goes on.
type Phase string

const (
	Prepared Phase = "prepared"        // its folder is new, and nothing was trained in it yet
	Starting Phase = "starting"        // somebody holds the lock and has not come to training yet
	Running  Phase = "running"         //
	Silent   Phase = "no sign of life" // for longer than a living run is silent
	Killed   Phase = "killed"          // its process is gone, and has not said goodbye
	Over     Phase = "over"            // Stats say how it ended
	Nothing  Phase = "nothing"         // was ever trained
)

// How long a run is silent before it counts as such. It renews its file every
// second, but other machines may see that half a minute later (NFS keeps what it has
// read for so long), and a busy one writes late.
const (
	patience     = 20 * time.Second
	patienceAway = 90 * time.Second // where it runs on another machine
)

// preparing is how long a new folder is taken for one in which training is about to
// begin: pictures are made or downloaded first.
const preparing = 15 * time.Minute

// View is a run at one moment.
type View struct {
	Exp      *experiment.Experiment
	Config   config.Config // zero: not known
	History  history.History
	Stats    experiment.Stats
	Progress experiment.Progress // zero unless Running or Silent, or Killed in the middle
	Owner    experiment.Owner    // who trains or trained it; zero: not known
	Phase    Phase
	Seen     time.Time // the last sign of life
	Now      time.Time
	Problem  string // what cannot be read, a sentence; "": nothing

	changed time.Time // when this program saw progress.json change, by its own clock
}

// now and alive are variables for the sake of tests.
var (
	now   = time.Now
	alive = func(pid int) bool { return syscall.Kill(pid, 0) != syscall.ESRCH }
)

// Look reads where a run is. before is what the same program saw last, nil at
// first: clocks of two machines differ, but a file that changes is a sign of life.
func Look(exp *experiment.Experiment, before *View) *View {
	v := &View{Exp: exp, Now: now()}
	lacks := func(err error) {
		if err != nil && !errors.Is(err, fs.ErrNotExist) && v.Problem == "" {
			v.Problem = err.Error()
		}
	}
	var err error
	v.Progress, err = exp.LoadProgress() // first: how a run ended is written before this goes
	under := err == nil
	lacks(err)
	v.Config, err = config.Load(exp.ConfigPath())
	lacks(err)
	if h, err := history.Load(exp.HistoryPath()); err == nil {
		v.History = *h
	} else {
		lacks(err)
	}
	v.Stats, err = exp.LoadStats()
	lacks(err)
	v.Config = v.Stats.Applied(v.Config)
	signed := false
	v.Owner, signed = exp.Signed()
	if under {
		v.Owner, v.Seen = v.Progress.Owner, v.Progress.Updated
	} else {
		v.Progress, v.Seen = experiment.Progress{}, v.Owner.Since
	}
	if before != nil {
		v.changed = before.changed
		if under && !before.Progress.Updated.IsZero() && !v.Progress.Updated.Equal(before.Progress.Updated) {
			v.changed = v.Now
		}
	}
	v.Phase = v.phase(under, signed)
	return v
}

func (v *View) phase(under, signed bool) Phase {
	if !under && !signed {
		if v.History.Len() > 0 || len(v.Stats.Sessions) > 0 {
			return Over
		}
		if info, err := os.Stat(v.Exp.ConfigPath()); err == nil && v.Now.Sub(info.ModTime()) < preparing {
			return Prepared
		}
		return Nothing
	}
	if n := len(v.Stats.Sessions); !under && n > 0 && v.Stats.Sessions[n-1].Ended.After(v.Owner.Since) {
		return Over // it says so already, and gives the lock back in a moment
	}
	host, _ := os.Hostname()
	limit, here := patienceAway, v.Owner.Host == host
	if here {
		limit = patience
	}
	if here && v.Owner.PID > 0 && !alive(v.Owner.PID) && v.Now.Sub(v.changed) > 5*time.Second {
		return Killed // another container of the same name would go on to write
	}
	switch {
	case under && (v.Now.Sub(v.Seen) < limit || v.Now.Sub(v.changed) < limit):
		return Running
	case under:
		return Silent
	case here || v.Now.Sub(v.Seen) < limit:
		return Starting
	}
	return Silent
}

// Ended reports whether nothing more will come.
func (v *View) Ended() bool { return v.Phase == Over || v.Phase == Killed || v.Phase == Nothing }

// Good reports whether a run that has ended did so as it should.
func (v *View) Good() bool {
	return v.Phase == Over && slices.Contains([]string{"completed", "early_stopped", "interrupted", "limit_reached"}, v.Stats.Status)
}

// Left is the time that the run will take, 0 where it is not known.
func (v *View) Left() time.Duration {
	if v.Phase != Running || v.Progress.SecondsLeft <= 0 {
		return 0
	}
	return max(time.Duration(v.Progress.SecondsLeft*float64(time.Second))-max(0, v.Now.Sub(v.Progress.Updated)), time.Second)
}

// Epochs returns how many are finished and how many are planned, 0 where that is
// not known.
func (v *View) Epochs() (done, planned int) {
	if done = v.History.Len(); done == 0 { // it cannot be read, or has just begun
		done = v.Stats.EpochsCompleted
	}
	if planned = v.Progress.NumEpochs; planned == 0 && v.Config.NumEpochs > 0 {
		planned = max(v.Config.NumEpochs, done)
	}
	return done, planned
}

// Fraction is how much of the whole run is done.
func (v *View) Fraction() float64 {
	done, planned := v.Epochs()
	at := float64(done)
	if p := v.Progress; p.Batches > 0 && p.Epoch == done+1 {
		at += float64(p.Batch) / float64(p.Batches)
	}
	if planned == 0 {
		return 0
	}
	return min(1, at/float64(planned))
}

// Choose finds the experiment to watch under root: one by name, pattern or folder as
// for [experiment.Select]; "latest" is the one that shows the newest sign of life, else
// the newest of all.
func Choose(root, name string) (*experiment.Experiment, error) {
	if name != experiment.Latest && name != "" {
		found, err := experiment.Select(root, nil, name)
		if err != nil {
			return nil, err
		}
		return found[0], nil
	}
	hidden := ""
	all, err := experiment.All(root, func(line string) { hidden = "; " + line })
	if err != nil {
		return nil, err
	}
	var best *experiment.Experiment
	var seen time.Time
	for _, e := range all {
		p, err := e.LoadProgress()
		if err == nil && p.Updated.After(seen) && Look(e, nil).Phase == Running {
			best, seen = e, p.Updated
		}
	}
	if best != nil {
		return best, nil
	}
	for _, e := range all { // one that has just begun, or one that was ever trained
		if !Look(e, nil).is(Nothing) {
			return e, nil
		}
	}
	if len(all) > 0 {
		return all[0], nil
	}
	return nil, fmt.Errorf("%w under %s; train one first%s", experiment.ErrNone, root, hidden)
}

func (v *View) is(p Phase) bool { return v.Phase == p }
