package compute

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
	"rekindle/pkg/notebook"
	"rekindle/pkg/notebook/cell"
)

// trainedFor runs the training cell in this process and returns what it prints.
func trainedFor(t *testing.T, cfg config.Config) string {
	t.Helper()
	out := cell.Out
	defer func() { cell.Out = out }()
	printed := &strings.Builder{}
	cell.Out = printed
	Train(cfg)
	return printed.String()
}

// small makes an experiment of two quick epochs and chooses it.
func small(t *testing.T) (config.Config, *experiment.Experiment) {
	t.Helper()
	t.Setenv("GONB_TMP_DIR", t.TempDir())
	cfg := settings(t)
	cfg.ModelFeatures, cfg.PatchesPerImage, cfg.NumEpochs, cfg.SaveEveryMinutes = 2, 4, 2, 10
	return cfg, notebook.SetUp(cfg, false)
}

func TestTrainingWritesEventFiles(t *testing.T) {
	cfg, exp := small(t)
	trainedFor(t, cfg)
	cfg.ResumeFromCheckpoint, cfg.NumEpochs = true, 3
	trainedFor(t, cfg)
	trainedFor(t, cfg) // nothing left to do: no file
	files, err := filepath.Glob(filepath.Join(exp.LogsDir(), "events.out.tfevents.*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("got %q, %v, want a file for each of two sessions", files, err)
	}
	slices.Sort(files)
	for i, epochs := range []int{2, 1} {
		text, err := os.ReadFile(files[i])
		if err != nil {
			t.Fatal(err)
		}
		for tag, want := range map[string]int{"Loss/train": epochs, "Learning_Rate": epochs, "Time/epoch_seconds": epochs, "Loss/val": 1} {
			if got := bytes.Count(text, []byte(tag)); got != want {
				t.Errorf("session %d: %s is there %d times, want %d", i+1, tag, got, want)
			}
		}
	}
}

func TestTrainingGoesOnWithoutEventFiles(t *testing.T) {
	cfg, exp := small(t)
	if err := os.Remove(exp.LogsDir()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/proc", exp.LogsDir()); err != nil { // nobody can make files there, not even root
		t.Fatal(err)
	}
	printed := trainedFor(t, cfg)
	if got := strings.Count(printed, "TensorBoard's event files cannot be written"); got != 1 {
		t.Errorf("it is said %d times, want once:\n%s", got, printed)
	}
	h, err := history.Load(exp.HistoryPath())
	if err != nil || h.Len() != 2 || !strings.Contains(printed, "Training completed: 2 epochs") {
		t.Errorf("history %v, %v, printed\n%s", h, err, printed)
	}
}
