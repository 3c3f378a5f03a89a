package notebook

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
	"rekindle/pkg/internal/disk"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/rgb"
)

func TestCellsWithoutResultsSayWhatIsMissing(t *testing.T) {
	cfg, printed := kernelIn(t)
	mustSetUp(t, cfg, false)
	for name, section := range map[string]func(config.Config) error{"PlotCurves": plotCurves, "BestAndWorst": bestAndWorst, "Summary": summary} {
		printed.Reset()
		text := ""
		if err := section(cfg); errors.Is(err, cell.ErrNothing) {
			text = err.Error()
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if text += printed.String(); !strings.Contains(text, " yet") {
			t.Errorf("%s printed %q, want what there is not yet", name, text)
		}
	}
}

func TestSkippedTrainingShowsWhatTheGuideShows(t *testing.T) {
	cfg, printed := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	h := &history.History{}
	for i := range 35 {
		h.Append(epoch(0.1 - 0.0577*float64(i)/27 + 0.01*float64(max(0, i-27))))
	}
	h.ValLoss[27] = 0.0423
	if err := h.Save(exp.HistoryPath()); err != nil {
		t.Fatal(err)
	}
	printed.Reset()
	LoadResults(cfg)
	for _, line := range []string{
		"⏭️  SKIP_TRAINING = true: Loading existing results",
		"✅ Loaded history from experiments/unet/gaussian/" + exp.Name() + "/history.json",
		"   Total epochs: 35", "   Best epoch: 28 (val_loss: 0.0423)",
	} {
		if !strings.Contains(printed.String(), line+"\n") {
			t.Errorf("got %q, want the line %q", printed, line)
		}
	}
}

func TestTheSummaryTellsOfTrainingThatWasKilled(t *testing.T) {
	cfg, printed := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	if err := exp.SaveStats(experiment.Stats{Status: "completed", TotalSeconds: 65}); err != nil {
		t.Fatal(err)
	}
	owner := `{"pid": 1, "host": "here", "program": "cell", "since": "2026-01-02T12:00:00Z"}`
	for content, killed := range map[string]bool{owner: true, "": false} {
		if err := os.WriteFile(filepath.Join(exp.Dir, ".lock"), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		printed.Reset()
		if err := summary(cfg); err != nil {
			t.Fatal(err)
		}
		said := printed.String()
		if strings.Contains(said, "did not end properly") != killed || strings.Contains(said, "ResumeFromCheckpoint = true") != killed || strings.Contains(said, "completed") == killed {
			t.Errorf("killed %v: the summary says\n%s", killed, said)
		}
	}
}

func TestTheSummarySaysWhatBecomesOfDamagedStats(t *testing.T) {
	cfg, printed := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	if err := os.WriteFile(exp.StatsPath(), []byte(`{"status": `), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := summary(cfg); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"experiment_stats.json is damaged (", "training keeps it under another name and writes a new one\n", "Best epoch: none validated yet"} {
		if !strings.Contains(printed.String(), part) {
			t.Errorf("got %q, want %q in it", printed, part)
		}
	}
}

func TestAHistoryWithoutValidationHasNoBestEpoch(t *testing.T) {
	cfg, _ := kernelIn(t)
	mustSetUp(t, cfg, false)
	if h, epoch, loss := History(cfg); h.Len() != 0 || epoch != 0 || !math.IsNaN(loss) {
		t.Errorf("got %d epochs, best %d, %v; want 0, 0, NaN", h.Len(), epoch, loss)
	}
}

func TestCurvesAreSavedInTheExperiment(t *testing.T) {
	cfg, _ := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	h := &history.History{}
	h.Append(epoch(0.3))
	if err := h.Save(exp.HistoryPath()); err != nil {
		t.Fatal(err)
	}
	if err := plotCurves(cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := rgb.Load(exp.CurvesPath()); err != nil {
		t.Error(err)
	}
}

func TestABrokenHistoryIsOneSentence(t *testing.T) {
	cfg, _ := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	if err := os.WriteFile(exp.HistoryPath(), []byte(`{"train_loss": [0.1`), 0o666); err != nil {
		t.Fatal(err)
	}
	err := plotCurves(cfg)
	wants(t, err, "history.json", "resume training")
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("got several lines: %q", err)
	}
}

func evaluated(t *testing.T, cfg config.Config, exp *experiment.Experiment, ssim ...float64) {
	t.Helper()
	var e experiment.Evaluation
	for i, s := range ssim {
		name := string(rune('a' + i))
		for dir, ending := range map[string]string{cfg.ValDegradedDir: ".png", cfg.ValCleanDir: ".png", exp.RestoredDir(): ".png"} {
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := rgb.New(40, 30).SavePNG(filepath.Join(dir, name+ending)); err != nil {
				t.Fatal(err)
			}
		}
		scores := experiment.ImageScores{Filename: name + ".png", Scores: experiment.Scores{PSNR: 20, SSIM: experiment.Number(s)}}
		e.PerImage, e.Degraded.PerImage = append(e.PerImage, scores), append(e.Degraded.PerImage, scores)
	}
	if err := e.Save(exp.MetricsPath()); err != nil {
		t.Fatal(err)
	}
}

func TestBestAndWorstAreThoseOfSSIM(t *testing.T) {
	cfg, printed := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	evaluated(t, cfg, exp, 0.5, 0.9, 0.3)
	if err := bestAndWorst(cfg); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(printed.String(), "Best result: b.png") || !strings.Contains(printed.String(), "Worst result: c.png") {
		t.Errorf("got %q, want b.png best and c.png worst", printed)
	}
	for _, file := range []string{"best_full_restoration.png", "worst_full_restoration.png"} {
		if _, err := rgb.Load(filepath.Join(exp.SamplesDir(), file)); err != nil {
			t.Error(err)
		}
	}
}

func TestAMissingPictureOfTheEvaluationIsNamed(t *testing.T) {
	cfg, _ := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	evaluated(t, cfg, exp, 0.5)
	if err := os.Remove(filepath.Join(cfg.ValCleanDir, "a.png")); err != nil {
		t.Fatal(err)
	}
	wants(t, bestAndWorst(cfg), cfg.ValCleanDir, "13. Evaluation")
}

func TestTensorBoardSaysWhereTheFilesAreAndHowToLook(t *testing.T) {
	cfg, printed := kernelIn(t)
	cfg.ExperimentsDir = "my runs"
	exp := mustSetUp(t, cfg, false)
	printed.Reset()
	TensorBoard(cfg)
	for _, line := range []string{"my runs/unet/gaussian/" + exp.Name() + "/logs/tensorboard_logs\n", "tensorboard --logdir 'my runs'\n"} {
		if !strings.Contains(printed.String(), line) {
			t.Errorf("got %q, want %q in it", printed, line)
		}
	}
	for path, want := range map[string]string{"experiments": "experiments", "/a/b_c-1.2": "/a/b_c-1.2", "it's": `'it'\''s'`, "a$b": "'a$b'"} {
		if got := shellWord(path); got != want {
			t.Errorf("%q becomes %s, want %s", path, got, want)
		}
	}
}

func TestAnExperimentThatMayOnlyBeReadIsLookedAt(t *testing.T) {
	cfg, printed := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	h := &history.History{}
	h.Append(epoch(0.3))
	if err := h.Save(exp.HistoryPath()); err != nil {
		t.Fatal(err)
	}
	disk.ReadOnly(t, cfg.ExperimentsDir)
	if err := plotCurves(cfg); err != nil {
		t.Error(err)
	}
	if err := summary(cfg); err != nil {
		t.Error(err)
	}
	if err := compare(cfg.ExperimentsDir, nil); err != nil {
		t.Error(err)
	}
	if err := plotComparison(cfg.ExperimentsDir, nil); err != nil {
		t.Error(err)
	}
	for _, file := range []string{"training_curves.png", "comparison.png"} {
		if !strings.Contains(printed.String(), file+", which may only be read") || strings.Contains(printed.String(), "saved to "+file) {
			t.Errorf("it says %q", printed)
		}
	}
	cfg.ResumeFromCheckpoint = true
	if got := mustSetUp(t, cfg, true); got.Dir != exp.Dir {
		t.Errorf("looking at %s, want %s", got.Dir, exp.Dir)
	}
}
