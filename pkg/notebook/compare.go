package notebook

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/experiment"
	"rekindle/pkg/figures"
	"rekindle/pkg/plots"
)

// Compare shows experiments beside each other, the greatest gain first: a table
// of what they came to, and one of the settings in which they differ. patterns
// are as for [experiment.Select] in the folder root; none means all.
func Compare(root string, patterns ...string) {
	Check(compare(root, patterns))
}

func compare(root string, patterns []string) error {
	all, err := outcomes(root, patterns)
	if err != nil {
		return err
	}
	results := outcomesTable(all)
	results.show("Results")
	settings := settingsTable(all)
	if len(settings.rows) == 0 {
		say("⚙️  Their settings are the same")
	} else {
		settings.show("Settings in which they differ")
	}
	for i, o := range all {
		for _, m := range o.Missing {
			say("⚠️  %d, %s: %s", i+1, o.Name(), m)
		}
	}
	flush()
	return nil
}

// PlotComparison draws the validation losses of experiments and what each gained,
// saves the picture as comparison.png in root and shows it. root and patterns
// are as for [Compare].
func PlotComparison(root string, patterns ...string) {
	Check(plotComparison(root, patterns))
}

func plotComparison(root string, patterns []string) error {
	all, err := outcomes(root, patterns)
	if err != nil {
		return err
	}
	var runs []plots.Run
	for i, o := range all {
		runs = append(runs, plots.Run{Name: fmt.Sprintf("%d  %s", i+1, o.Name()), History: o.History, Gain: o.Gain()})
	}
	png, err := plots.Compare(runs)
	if err != nil {
		return err
	}
	path := filepath.Join(root, "comparison.png")
	return Picture(path, png, "Comparison")
}

func outcomes(root string, patterns []string) ([]*experiment.Outcome, error) {
	if err := EnterClone(); err != nil {
		return nil, err
	}
	found, err := experiment.Select(root, warn, patterns...)
	if err == nil && len(found) == 0 || errors.Is(err, experiment.ErrNone) {
		return nil, fmt.Errorf("%w: no experiment under %s; train one first", ErrNothing, root)
	}
	if err != nil {
		return nil, err
	}
	return experiment.Compare(found), nil
}

func outcomesTable(all []*experiment.Outcome) table {
	t := table{head: []string{"#", "experiment", "model", "degradation", "epochs", "best", "val loss", "PSNR", "SSIM", "degraded", "gain", "time", "weights"}, text: 4}
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
		t.rows = append(t.rows, []string{fmt.Sprint(i + 1), o.Name(), o.Config.Model, o.Config.Degradation, fmt.Sprintf("%d of %d", o.History.Len(), o.Config.NumEpochs),
			epoch, figures.Loss(loss), figures.Decibels(psnr), figures.Loss(ssim), figures.Decibels(degraded), gain, trainingTime(o), weightsOf(o)})
	}
	return t
}

func trainingTime(o *experiment.Outcome) string {
	if o.Stats.TotalSeconds == 0 {
		return "–"
	}
	return figures.Seconds(o.Stats.TotalSeconds)
}

// weightsOf is the size of the network in the newest checkpoint.
func weightsOf(o *experiment.Outcome) string {
	entries, err := checkpoint.List(o.CheckpointsDir())
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

func settingsTable(all []*experiment.Outcome) table {
	t := table{head: []string{"setting"}, text: 1}
	for i := range all {
		t.head = append(t.head, fmt.Sprint(i+1))
	}
	for _, s := range experiment.Settings(all) {
		row := []string{s.Key}
		for _, v := range s.Values {
			if v == "" {
				v = "–"
			}
			row = append(row, strings.Trim(v, `"`))
		}
		t.rows = append(t.rows, row)
	}
	return t
}
