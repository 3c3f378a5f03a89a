package notebook

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/figures"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/plots"
	"rekindle/pkg/watch"
)

// Compare shows experiments beside each other, the greatest gain first: a table
// of what they came to, and one of the settings in which they differ. patterns
// are as for [experiment.Select] in the folder root; none means all.
func Compare(root string, patterns ...string) {
	cell.Check(compare(root, patterns))
}

func compare(root string, patterns []string) error {
	all, err := outcomes(root, patterns)
	if err != nil {
		return err
	}
	results := outcomesTable(all)
	results.Colors = colorsOf(all)
	results.Show("Results")
	settings := settingsTable(all)
	if len(settings.Rows) == 0 {
		cell.Say("⚙️  Their settings are the same")
	} else {
		settings.Show("Settings in which they differ")
	}
	for i, o := range all {
		for _, m := range o.Missing {
			cell.Say("⚠️  %d, %s: %s", i+1, o.Name(), m)
		}
	}
	cell.Flush()
	return nil
}

// PlotComparison draws the validation losses of experiments and what each gained,
// saves the picture as comparison.png in root and shows it. root and patterns
// are as for [Compare].
func PlotComparison(root string, patterns ...string) {
	cell.Check(plotComparison(root, patterns))
}

func plotComparison(root string, patterns []string) error {
	all, err := outcomes(root, patterns)
	if err != nil {
		return err
	}
	var runs []plots.Run
	colors := places(all)
	for i, o := range all {
		name := fmt.Sprintf("%d  %s", i+1, o.Name())
		unfinished := !finished(o)
		if unfinished {
			name += " (" + stateOf(o) + ")"
		}
		runs = append(runs, plots.Run{Name: name, History: o.History, Gain: o.Gain(), Color: colors[i], Unfinished: unfinished})
	}
	png, err := plots.Compare(runs)
	if err != nil {
		return err
	}
	path := filepath.Join(root, "comparison.png")
	return Picture(path, png, "Comparison")
}

func outcomes(root string, patterns []string) ([]*experiment.Outcome, error) {
	if err := cell.EnterClone(); err != nil {
		return nil, err
	}
	found, err := experiment.Select(root, cell.Warn, patterns...)
	if err == nil && len(found) == 0 || errors.Is(err, experiment.ErrNone) {
		return nil, fmt.Errorf("%w: no experiment under %s; train one first", cell.ErrNothing, root)
	}
	if err != nil {
		return nil, err
	}
	return experiment.Compare(found), nil
}

func outcomesTable(all []*experiment.Outcome) cell.Table {
	t := cell.Table{Head: []string{"#", "experiment", "model", "degradation", "state", "epochs", "best", "val loss", "PSNR", "SSIM", "degraded", "gain", "time", "weights"}, Text: 5}
	for i, o := range all {
		epoch, loss := "–", math.NaN()
		if e, l, ok := o.History.Best(); ok {
			epoch, loss = fmt.Sprint(e), l
		}
		psnr, ssim, degraded := math.NaN(), math.NaN(), math.NaN()
		if e := o.Evaluation; e != nil {
			psnr, ssim, degraded = float64(e.Mean.PSNR), float64(e.Mean.SSIM), float64(e.Degraded.Mean.PSNR)
		}
		gain := figures.Decibels(o.Gain())
		if o.Evaluation != nil && o.Evaluation.SelfEnsemble {
			gain += " ×8"
		}
		t.Rows = append(t.Rows, []string{fmt.Sprint(i + 1), o.Name(), o.Network(), o.Corruption(), stateOf(o), o.Epochs(),
			epoch, figures.Loss(loss), figures.Decibels(psnr), figures.Loss(ssim), figures.Decibels(degraded), gain, trainingTime(o), weightsOf(o)})
	}
	return t
}

// places are where the experiments stand when the oldest comes first. Colours go by
// them: an experiment keeps its colour when it is evaluated, and when newer ones come.
func places(all []*experiment.Outcome) []int {
	var names []string
	for _, o := range all {
		names = append(names, o.Name()+o.Dir)
	}
	sorted := slices.Sorted(slices.Values(names))
	at := make([]int, len(all))
	for i, name := range names {
		at[i] = slices.Index(sorted, name)
	}
	return at
}

func colorsOf(all []*experiment.Outcome) (css []string) {
	for _, i := range places(all) {
		c := plots.Color(i)
		css = append(css, fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B))
	}
	return css
}

// stateOf says how far an experiment is from its end.
func stateOf(o *experiment.Outcome) string {
	switch v := watch.Look(o.Experiment, nil); v.Phase {
	case watch.Over:
		switch {
		case o.Stats.Status == "completed" && !finished(o):
			return "more planned"
		case o.Stats.Status == "":
			return "not known"
		}
		return strings.ReplaceAll(o.Stats.Status, "_", " ")
	case watch.Running, watch.Starting:
		return "training"
	case watch.Prepared, watch.Nothing:
		return "not trained"
	default:
		return string(v.Phase) // killed, no sign of life
	}
}

// finished reports whether an experiment came to the end of what was planned.
func finished(o *experiment.Outcome) bool {
	return o.Stats.Status == "early_stopped" || o.Stats.Status == "completed" && o.History.Len() >= o.Config.NumEpochs
}

func trainingTime(o *experiment.Outcome) string {
	if o.Stats.TotalSeconds == 0 {
		return "–"
	}
	return figures.Seconds(o.Stats.TotalSeconds)
}

// weightsOf is the size of the network in the newest checkpoint.
func weightsOf(o *experiment.Outcome) string {
	entries, err := o.Checkpoints().List()
	if err != nil || len(entries) == 0 {
		return "–"
	}
	n, err := checkpoint.Weights(entries[0].Path)
	switch {
	case err != nil || n == 0:
		return "–"
	case n < 1e6:
		return fmt.Sprintf("%.0f k", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f M", float64(n)/1e6)
}

func settingsTable(all []*experiment.Outcome) cell.Table {
	t := cell.Table{Head: []string{"setting"}, Text: 1}
	for i := range all {
		t.Head = append(t.Head, fmt.Sprint(i+1))
	}
	for _, s := range experiment.Settings(all) {
		row := []string{config.Name(s.Key)}
		for _, v := range s.Values {
			if v == "" {
				v = "–"
			}
			row = append(row, strings.Trim(v, `"`))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
