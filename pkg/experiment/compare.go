package experiment

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"rekindle/pkg/config"
	"rekindle/pkg/history"
)

// Outcome is what is known about one experiment beside others.
type Outcome struct {
	*Experiment
	Config     config.Config // what its newest session used: config.json says what the first did; empty where that is not known
	Stats      Stats
	History    *history.History // empty where no epoch is finished
	Evaluation *Evaluation      // nil: not evaluated
	Missing    []string         // what is not there or cannot be read, a sentence each
	Damaged    []string         // those of Missing about what is there and cannot be read

	configured, recorded, counted bool // whether Config, History and Stats are known
}

// Gain is how many dB restoring gained over the degraded pictures, NaN where it
// was not measured.
func (o *Outcome) Gain() float64 {
	if o.Evaluation == nil {
		return math.NaN()
	}
	return o.Evaluation.Gain()
}

// Gain is the mean of how many dB restoring gained, over the pictures that have
// a finite PSNR before and after: the two means may be of different pictures.
func (e *Evaluation) Gain() float64 {
	if len(e.PerImage) == 0 || len(e.PerImage) != len(e.Degraded.PerImage) {
		return float64(e.Mean.PSNR - e.Degraded.Mean.PSNR)
	}
	sum, n := 0.0, 0.0
	for i := range e.PerImage {
		if gain := float64(e.PerImage[i].PSNR - e.Degraded.PerImage[i].PSNR); !math.IsNaN(gain) && !math.IsInf(gain, 0) {
			sum, n = sum+gain, n+1
		}
	}
	return sum / n // NaN where there is none
}

// Network is what was trained. Of what cannot be read this and the next three make a dash.
func (o *Outcome) Network() string { return known(o.configured, o.Config.Model) }

// Corruption is what is to be removed.
func (o *Outcome) Corruption() string { return known(o.configured, o.Config.Degradation) }

// Epochs is how many are finished, and how many are planned.
func (o *Outcome) Epochs() string {
	return known(o.recorded, fmt.Sprint(o.History.Len())) + " of " + known(o.configured, fmt.Sprint(o.Config.NumEpochs))
}

// Ending is a status of [Stats].
func (o *Outcome) Ending() string {
	return known(o.counted, cmp.Or(o.Stats.Status, "no session has ended"))
}

func known(is bool, text string) string {
	if !is {
		return "–"
	}
	return text
}

// Compare reads what experiments have come to, the greatest gain first, then
// those that are not evaluated, the lowest validation loss first. What an
// experiment lacks is said in its Missing, and is no error.
func Compare(experiments []*Experiment) []*Outcome {
	var all []*Outcome
	for _, e := range experiments {
		all = append(all, outcome(e))
	}
	slices.SortStableFunc(all, func(a, b *Outcome) int {
		return cmp.Or(numbersFirst(-a.Gain(), -b.Gain()), numbersFirst(a.bestLoss(), b.bestLoss()))
	})
	return all
}

func (o *Outcome) bestLoss() float64 {
	if _, loss, ok := o.History.Best(); ok {
		return loss
	}
	return math.NaN()
}

// numbersFirst orders numbers upwards and puts NaN behind them.
func numbersFirst(a, b float64) int {
	switch {
	case math.IsNaN(a) && math.IsNaN(b):
		return 0
	case math.IsNaN(a):
		return 1
	case math.IsNaN(b):
		return -1
	}
	return cmp.Compare(a, b)
}

func outcome(e *Experiment) *Outcome {
	o := &Outcome{Experiment: e, History: &history.History{}}
	lacks := func(err error, absent string) {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			o.Missing = append(o.Missing, absent)
		case err != nil:
			o.Missing, o.Damaged = append(o.Missing, err.Error()), append(o.Damaged, err.Error())
		}
	}
	var err error
	o.Config, err = config.Load(e.ConfigPath())
	lacks(err, "it has no config.json")
	o.configured = err == nil
	o.Stats, err = e.LoadStats()
	lacks(err, "")
	o.counted = err == nil
	if o.configured {
		o.Config = o.Stats.Applied(o.Config)
	} else if own, _, from, err := e.Checkpoints().Settings(); err == nil && from.Path != "" {
		o.Config, o.configured = own, true
	}
	h, err := history.Load(e.HistoryPath())
	lacks(err, "no epoch is finished yet")
	if o.recorded = err == nil || errors.Is(err, fs.ErrNotExist); err == nil {
		o.History = h
	}
	scores, err := LoadEvaluation(e.MetricsPath())
	lacks(err, "it is not evaluated yet")
	if err == nil {
		o.Evaluation = scores
	}
	return o
}

// Setting is a key of the configuration and its value in each experiment, as in
// JSON; "" where an experiment has no configuration.
type Setting struct {
	Key    string
	Values []string
}

// Settings lists the keys whose values are not the same in all outcomes, in the
// order of [config.Config].
func Settings(all []*Outcome) []Setting {
	first := slices.IndexFunc(all, func(o *Outcome) bool { return o.configured })
	if first < 0 {
		return nil
	}
	changed := map[string][]string{} // by key, the values that are not the first one's
	same := map[string]string{}
	for i, o := range all {
		if !o.configured {
			continue
		}
		for _, c := range config.Diff(all[first].Config, o.Config) {
			if changed[c.Key] == nil {
				changed[c.Key] = make([]string, len(all))
			}
			changed[c.Key][i], same[c.Key] = c.New, c.Old
		}
	}
	var settings []Setting
	for _, key := range config.Keys() {
		values := changed[key]
		if values == nil {
			continue
		}
		for i, o := range all {
			if o.configured && values[i] == "" {
				values[i] = same[key]
			}
		}
		settings = append(settings, Setting{key, values})
	}
	return settings
}
