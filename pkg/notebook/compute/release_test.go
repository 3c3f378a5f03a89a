package compute

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/config"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/history"
	"rekindle/pkg/notebook"
	"rekindle/pkg/notebook/cell"
)

// testdata/release holds an experiment as the release of November 2026 left it when
// it was interrupted in its second of four epochs: GoMLX 0.28.8, checkpoint format 2.
func TestAnExperimentOfTheReleaseBeforeGoesOn(t *testing.T) {
	const name = "20261127_232700_bilinear"
	kept, err := filepath.Abs(filepath.Join("testdata", "release", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	t.Setenv("GONB_TMP_DIR", t.TempDir())
	t.Setenv(cell.RunDirVariable, "")
	t.Setenv(notebook.ConfigVariable, "")
	dir := filepath.Join("experiments", "unet", "gaussian", name)
	if err := os.CopyFS(dir, os.DirFS(kept)); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir+"_backup", os.DirFS(kept)); err != nil {
		t.Fatal(err)
	}
	for part, n := range map[string]int{"train": 2, "val": 1} { // the pictures that it was trained on
		clean := filepath.Join("data", "raw", part)
		if err := deadleaves.Folder(t.Context(), clean, n, 64, 64, int64(n), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := degrade.Folder(context.Background(), clean, filepath.Join("data", "degraded", "gaussian", "sigma_100", part), degrade.Gaussian{Sigma: 100}, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	before, err := history.Load(filepath.Join(dir, "history.json"))
	if err != nil {
		t.Fatal(err)
	}
	out := cell.Out
	defer func() { cell.Out = out }()
	printed := &strings.Builder{}
	cell.Out = printed

	cfg := notebook.Configure(func(cfg *config.Config) {
		cfg.ResumeFromCheckpoint = true
		cfg.Device = "go"
		cfg.BatchSize = 5 // all else is as it was
	})
	want, err := config.Load(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	want.ResumeFromCheckpoint, want.Device, want.BatchSize, want.NumWorkers = true, "go", 5, cfg.NumWorkers
	if cfg != want {
		t.Errorf("its settings are\n%+v\nwant\n%+v", cfg, want)
	}
	exp := notebook.SetUp(notebook.Settings(), false)
	if exp.Name() != name {
		t.Errorf("the latest is %s", exp.Name())
	}
	Train(notebook.Settings())
	for _, part := range []string{"Base: the settings of " + name + ", after epoch 1", "it is a copy of " + name,
		"Resuming from emergency_checkpoint_interrupt_epoch_2.pth: epoch 1 of 4 done", "BatchSize: 4 → 5", "Training completed: 4 epochs"} {
		if !strings.Contains(printed.String(), part) {
			t.Errorf("nothing says %q in\n%s", part, printed)
		}
	}
	after, err := history.Load(exp.HistoryPath())
	if err != nil || after.Len() != 4 || after.TrainLoss[0] != before.TrainLoss[0] || after.ValLoss[0] != before.ValLoss[0] {
		t.Errorf("the history is %+v, %v; it began with %+v", after, err, before)
	}
}
