package notebook

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/figures"
	"rekindle/pkg/history"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/notebook/progress"
	"rekindle/pkg/plots"
)

// LoadResults says what is on disk, in place of training.
func LoadResults(cfg config.Config) {
	exp := Experiment(cfg)
	cell.Say("⏭️  SKIP_TRAINING = true: Loading existing results\n%s\n", cell.Rule)
	history, err := exp.History()
	cell.Check(err)
	if history.Len() == 0 {
		cell.Say("⚠️  No history found in %s", cell.Short(exp.Dir))
		cell.Say("   Train first: set SKIP_TRAINING = false")
	} else {
		cell.Say("✅ Loaded history from %s", cell.Short(exp.HistoryPath()))
		cell.Say("   Total epochs: %d", history.Len())
		if epoch, loss, ok := history.Best(); ok {
			cell.Say("   Best epoch: %d (val_loss: %s)", epoch, figures.Loss(loss))
		} else {
			cell.Say("   No epoch was validated yet")
		}
	}
	cell.Say("%s", cell.Rule)
}

// History returns what was measured in each epoch of the current experiment, the
// best epoch and its validation loss, for cells of your own; also where training
// is skipped. Where no epoch was validated yet bestEpoch is 0 and bestValLoss NaN.
func History(cfg config.Config) (history *history.History, bestEpoch int, bestValLoss float64) {
	history, err := Experiment(cfg).History()
	cell.Check(err)
	bestEpoch, bestValLoss, ok := history.Best()
	if !ok {
		bestValLoss = math.NaN()
	}
	return history, bestEpoch, bestValLoss
}

func currentHistory(cfg config.Config) (*experiment.Experiment, *history.History, error) {
	exp, err := current(cfg)
	if err != nil {
		return nil, nil, err
	}
	history, err := exp.History()
	return exp, history, err
}

// PlotCurves draws the history of the current experiment, saves the picture in
// its folder and shows it.
func PlotCurves(cfg config.Config) {
	cell.Check(plotCurves(cfg))
}

func plotCurves(cfg config.Config) error {
	exp, history, err := currentHistory(cfg)
	if err != nil {
		return err
	}
	if history.Len() == 0 {
		cell.Say("ℹ️  No curves yet: no epoch of %s is finished", exp.Name())
		return nil
	}
	png, err := plots.Curves(history)
	if err != nil {
		return err
	}
	if err := Picture(exp.CurvesPath(), png, "Training curves"); err != nil {
		return err
	}
	return showCourse(exp)
}

// Summary prints how training went and where everything lies.
func Summary(cfg config.Config) {
	cell.Check(summary(cfg))
}

func summary(cfg config.Config) error {
	exp, history, err := currentHistory(cfg)
	if err != nil {
		return err
	}
	stats, err := exp.LoadStats()
	if errors.Is(err, experiment.ErrInvalidStats) {
		cell.Warn(err.Error())
	} else if err != nil {
		return err
	}
	cell.Say("%s\n📊 TRAINING SUMMARY\n%s\n", cell.Rule, cell.Rule)
	n := history.Len()
	owner, died := exp.Died()
	if died {
		stats.Status = "did not end properly"
	}
	cell.Say("   Epochs:     %d of %d%s", n, cfg.NumEpochs, inWords(stats))
	if n > 0 {
		first, last := history.At(0), history.At(n-1)
		cell.Say("   Training:   loss %s → %s, L1 %s → %s, SSIM %s → %s", figures.Loss(first.TrainLoss), figures.Loss(last.TrainLoss),
			figures.Loss(first.TrainL1), figures.Loss(last.TrainL1), figures.Loss(first.TrainSSIM), figures.Loss(last.TrainSSIM))
	}
	if epoch, _, ok := history.Best(); ok {
		best := history.At(epoch - 1)
		cell.Say("   Best epoch: %d (val_loss: %s, val_l1: %s, val_ssim: %s)", epoch, figures.Loss(best.ValLoss), figures.Loss(best.ValL1), figures.Loss(best.ValSSIM))
	} else {
		cell.Say("   Best epoch: none validated yet")
	}
	if died {
		cell.Say("\n⚠️  The training that began at %s was killed, or the machine went down.", owner.Since.Format("2006-01-02 15:04:05"))
		cell.Say("   What it had saved is whole. To go on from there: cfg.ResumeFromCheckpoint = true")
	}
	cell.Say("\n📁 %s", cell.Short(exp.Dir))
	for _, f := range []struct{ what, path string }{
		{"Checkpoints", exp.CheckpointsDir()}, {"History", exp.HistoryPath()}, {"Curves", exp.CurvesPath()}, {"Samples", exp.SamplesDir()},
	} {
		cell.Say("   %-12s %s", f.what+":", contents(exp.Dir, f.path))
	}
	cell.Say("%s", cell.Rule)
	return nil
}

func inWords(s experiment.Stats) string {
	if s.Status == "" {
		return ""
	}
	text := ", " + s.Status
	if s.TotalSeconds > 0 {
		text += fmt.Sprintf(", %s of training", figures.Duration(time.Duration(s.TotalSeconds*float64(time.Second))))
	}
	if len(s.Sessions) > 1 {
		text += fmt.Sprintf(" in %d sessions", len(s.Sessions))
	}
	return text
}

// contents names a file or what a folder holds, relative to the experiment.
func contents(dir, path string) string {
	name, err := filepath.Rel(dir, path)
	if err != nil {
		name = path
	}
	info, err := os.Stat(path)
	if err != nil {
		return "none yet"
	}
	if !info.IsDir() {
		return name
	}
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) == 0 {
		return name + "/ (empty)"
	}
	for _, e := range entries {
		name += "\n                " + e.Name()
	}
	return name
}

// showCourse shows the strip of the current experiment, where there is one.
func showCourse(exp *experiment.Experiment) error {
	path := progress.Strip(exp)
	png, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	cell.ShowPNG(png, "The same patches restored after more and more epochs, one row each")
	cell.Say("✅ How the restored patches changed: %s", cell.Short(path))
	return nil
}
