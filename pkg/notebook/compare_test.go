package notebook

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
	"rekindle/pkg/notebook/cell"
)

// pair makes two experiments, one trained and evaluated, one only begun.
func pair(t *testing.T) (root string) {
	t.Helper()
	cfg := config.Default()
	cfg.ExperimentsDir = t.TempDir()
	began := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	done, err := experiment.Create(cfg, began)
	if err != nil {
		t.Fatal(err)
	}
	h := &history.History{}
	h.Append(history.Epoch{TrainLoss: 0.3, ValLoss: 0.25})
	h.Append(history.Epoch{TrainLoss: 0.2, ValLoss: math.NaN()})
	scores := &experiment.Evaluation{NImages: 1, SelfEnsemble: true}
	scores.Mean.PSNR, scores.Mean.SSIM, scores.Degraded.Mean.PSNR = 22.5, 0.6, 12.25
	for _, err := range []error{h.Save(done.HistoryPath()), scores.Save(done.MetricsPath()), done.SaveStats(experiment.Stats{
		Status: "interrupted", TotalSeconds: 65, Sessions: []experiment.Session{{}, {Changes: []config.Change{{Key: "num_epochs", Old: "36", New: "40"}}}},
	})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cfg.BatchSize, cfg.ExperimentName = 4, "begun"
	if _, err := experiment.Create(cfg, began.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	return cfg.ExperimentsDir
}

// said returns what f prints.
func said(t *testing.T, f func() error) (string, error) {
	t.Helper()
	before := cell.Out
	defer func() { cell.Out = before }()
	var out bytes.Buffer
	cell.Out = &out
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	defer os.Chdir(dir)
	err = f()
	return out.String(), err
}

func TestAComparisonShowsResultsSettingsAndWhatIsMissing(t *testing.T) {
	root := pair(t)
	text, err := said(t, func() error { return compare(root, nil) })
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	for _, want := range []string{
		"# experiment model degradation state epochs best val loss PSNR SSIM degraded gain time weights",
		"1 20260102_120000_bilinear unet gaussian interrupted 2 of 40 1 0.2500 22.50 0.6000 12.25 10.25 ×8 1 min 5 s –",
		"2 20260102_130000_begun unet gaussian not trained 0 of 36 – – – – – – – –",
		"ExperimentName bilinear begun", "BatchSize 16 4",
		"⚠️ 2, 20260102_130000_begun: no epoch is finished yet", "⚠️ 2, 20260102_130000_begun: it is not evaluated yet",
	} {
		found := false
		for _, line := range lines {
			found = found || line == want
		}
		if !found {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
	if text, _ := said(t, func() error { return compare(root, []string{"*_begun"}) }); !strings.Contains(text, "settings are the same") || strings.Contains(text, "_bilinear") {
		t.Errorf("one experiment alone:\n%s", text)
	}
}

func TestAnExperimentKeepsItsColourWhenOthersOvertakeIt(t *testing.T) {
	t.Chdir(".") // comparing goes to the top of the clone
	root := pair(t)
	colors := func() map[string]string {
		t.Helper()
		all, err := outcomes(root, nil)
		if err != nil {
			t.Fatal(err)
		}
		by := map[string]string{}
		for i, css := range colorsOf(all) {
			by[all[i].Name()] = css
		}
		return by
	}
	before := colors()
	all, err := outcomes(root, []string{"*_begun"})
	if err != nil {
		t.Fatal(err)
	}
	better := &experiment.Evaluation{NImages: 1}
	better.Mean.PSNR, better.Degraded.Mean.PSNR = 40, 12
	if err := better.Save(all[0].MetricsPath()); err != nil {
		t.Fatal(err)
	}
	after := colors()
	if len(before) != 2 || before["20260102_120000_bilinear"] == before["20260102_130000_begun"] || !maps.Equal(before, after) {
		t.Errorf("colours were %v and are %v", before, after)
	}
}

func TestAComparisonIsDrawnIntoTheFolderOfExperiments(t *testing.T) {
	root := pair(t)
	if _, err := said(t, func() error { return plotComparison(root, nil) }); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(filepath.Join(root, "comparison.png")); err != nil || !bytes.HasPrefix(raw, []byte("\x89PNG")) {
		t.Errorf("no picture: %v", err)
	}
}

func TestNothingToCompareIsNoFailureButAWrongNameIs(t *testing.T) {
	if _, err := said(t, func() error { return compare(t.TempDir(), nil) }); !errors.Is(err, cell.ErrNothing) {
		t.Errorf("no experiments: got %v, want cell.ErrNothing", err)
	}
	root := pair(t)
	if _, err := said(t, func() error { return compare(root, []string{"20260102_130000_begin"}) }); err == nil || !strings.Contains(err.Error(), "nearest: 20260102_130000_begun") {
		t.Errorf("a wrong name: got %v, want the nearest", err)
	}
}
