package documents

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/internal/reference"
)

// plays act out what the documents describe; each returns what was printed.
var plays = map[string]func(t *testing.T, s *stage) string{
	"oom": func(t *testing.T, s *stage) string {
		_, text := outOfMemory(t, s)
		return text
	},
	"oom-open": func(t *testing.T, s *stage) string {
		k, _ := outOfMemory(t, s)
		defer func() { k.epochs(k.only(), 3) }()
		return k.works(k.run("oom-open configuration training"))
	},
	"oom-closed": func(t *testing.T, s *stage) string {
		k, _ := outOfMemory(t, s)
		k.restart()
		defer func() { k.epochs(k.only(), 3) }()
		return k.works(k.run("oom-closed" + runAll))
	},
	"interrupt": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		return k.works(k.stopped(os.Interrupt))
	},
	"interrupted": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		k.works(k.stopped(syscall.SIGTERM))
		k.goesOnTo()
		k.restart()
		text := k.works(k.run("interrupted" + runAll))
		if !strings.Contains(text, "Resuming from emergency_checkpoint_interrupt_epoch_") && !strings.Contains(text, "Resuming from last_checkpoint.pth") {
			t.Errorf("training did not go on:\n%s", text)
		}
		k.epochs(k.only(), k.cfg.NumEpochs)
		return text
	},
	"killed": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		k.fails(k.stopped(syscall.SIGKILL))
		k.goesOnTo()
		k.restart()
		defer func() { k.epochs(k.only(), k.cfg.NumEpochs) }()
		return k.works(k.run("killed" + runAll))
	},
	"limited": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		return k.works(k.run("limited" + runAll))
	},
	"look": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		text := k.works(k.run("look" + runAll))
		if names := k.all(); len(names) != 1 {
			t.Errorf("looking made the experiments %q", names)
		}
		if !strings.Contains(text, "Training curves saved") {
			t.Errorf("no curves:\n%s", text)
		}
		return text
	},
	"numbers": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		return k.works(k.run("look configuration directories numbers"))
	},
	"named": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		k.works(k.run("configuration directories")) // a newer one
		text := k.works(k.run("named" + runAll))
		if !strings.Contains(text, "Experiment: "+exampleName) {
			t.Errorf("another experiment was opened:\n%s", text)
		}
		return text
	},
	"longer": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		defer func() { k.epochs(k.only(), 6) }()
		return k.works(k.run("longer" + runAll))
	},
	"fork": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		text := k.works(k.run("fork" + runAll))
		k.epochs(k.experiment(exampleName), 3)
		k.epochs(k.experiment(k.all()[0]), 6)
		return text
	},
	"from-pytorch": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		dir := filepath.Join(k.top, "experiments/unet/gaussian/20251230_153045_v1")
		must(t, os.MkdirAll(filepath.Join(dir, "checkpoints"), 0o777))
		for from, to := range map[string]string{"unet_f4_zip.pth": "checkpoints/best_model.pth", "history_example.json": "history.json"} {
			raw, err := os.ReadFile(reference.Path(t, from))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, to), raw, 0o666))
		}
		defer func() { k.epochs(k.only(), 6) }()
		return k.works(k.run("from-pytorch" + runAll))
	},
	"read-checkpoint": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		return k.works(k.run("read-checkpoint"))
	},
	"nothing": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		k.cfg.ResumeFromCheckpoint = true
		return k.fails(k.run(runAll))
	},
	"misnamed": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		k.cfg.ResumeFromCheckpoint, k.cfg.ResumeExperiment = true, "20251230_153054_bilinear"
		return k.fails(k.run(runAll))
	},
	"mismatch": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		other := filepath.Join(filepath.Dir(k.only().Dir), "20251231_080000_bilinear")
		must(t, os.CopyFS(filepath.Join(k.top, exampleName), os.DirFS(k.only().Dir)))
		rename(t, filepath.Join(k.top, exampleName), other)
		k.cfg.ResumeFromCheckpoint, k.cfg.ResumeExperiment = true, exampleName
		k.works(k.run("configuration directories"))
		k.cfg.ResumeExperiment = "latest"
		return k.works(k.run("configuration curves"))
	},
	"again": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		k.cfg.ResumeFromCheckpoint = true
		k.works(k.run("configuration directories"))
		k.cfg.ResumeFromCheckpoint = false
		return k.fails(k.run("configuration training"))
	},
	"locked": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		lock, err := k.only().Lock()
		must(t, err)
		defer lock.Release()
		k.cfg.ResumeFromCheckpoint = true
		return k.fails(k.run(runAll))
	},
	"reshaped": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		k.cfg.ResumeFromCheckpoint, k.cfg.ModelFeatures = true, 3
		return k.fails(k.run(runAll))
	},
	"damaged": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		truncate(t, k, checkpoint.Last)
		k.cfg.ResumeFromCheckpoint, k.cfg.NumEpochs = true, 6
		return k.works(k.run(runAll))
	},
	"hopeless": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		truncate(t, k, checkpoint.Last, checkpoint.Best, checkpoint.Periodic(2))
		k.cfg.ResumeFromCheckpoint = true
		return k.fails(k.run(runAll))
	},
	"unsaved": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		k.works(k.run("configuration directories"))
		k.cfg.ResumeFromCheckpoint = true
		return k.works(k.run(runAll))
	},
	"bestless": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		must(t, os.Remove(k.only().Checkpoints().Path(checkpoint.Best)))
		k.cfg.ResumeFromCheckpoint = true
		return k.works(k.run(runAll))
	},
	"spoilt": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		truncate(t, k, checkpoint.Best)
		k.cfg.ResumeFromCheckpoint = true
		return k.works(k.run("configuration directories inference"))
	},
	"unhistoric": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		must(t, os.WriteFile(k.only().HistoryPath(), []byte(`{"train_loss": [0.5`), 0o666))
		k.cfg.ResumeFromCheckpoint = true
		return k.works(k.run(runAll))
	},
	"diverging": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		k.cfg.LearningRate, k.cfg.GradientClip, k.cfg.WarmupEpochs, k.cfg.PatchesPerImage = 1e30, 0, 0, 20
		return k.fails(k.run(runAll))
	},
	"patient": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		k.cfg.Patience, k.cfg.LearningRate, k.cfg.MinLR, k.cfg.NumEpochs = 1, 1e-12, 0, 50 // learns nothing
		first := k.works(k.run(runAll))
		k.cfg.ResumeFromCheckpoint = true
		if again := k.works(k.run(runAll)); strings.Contains(again, "Training epochs") {
			t.Errorf("a resume went on:\n%s", again)
		}
		return first
	},
	"unconfigured": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		must(t, os.WriteFile(filepath.Join(k.memory, "rekindle_settings.json"), []byte("\n"), 0o666)) // the cell's first line
		return k.fails(k.run("directories"))
	},
	"restarted": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		return k.fails(k.run("curves"))
	},
	"passed-over": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		must(t, os.CopyFS(k.only().Dir+"_backup", os.DirFS(k.only().Dir)))
		must(t, os.Mkdir(filepath.Join(filepath.Dir(k.experiment(exampleName).Dir), "20260101_120000_bilinear"), 0o777))
		k.cfg.ResumeFromCheckpoint = true
		return k.works(k.run("configuration directories"))
	},
	"unnamed": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		k.cfg.ResumeFromCheckpoint, k.cfg.ExperimentName = true, "v2"
		return k.fails(k.run("configuration directories"))
	},
	"reused": func(t *testing.T, s *stage) string {
		k := s.kernel(t, nil)
		k.works(k.run("configuration directories"))
		name := k.only().Name()
		text := k.works(k.run("configuration directories"))
		k.only()
		return strings.ReplaceAll(text, name, exampleName)
	},
	"origins": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		k.cfg.ResumeFromCheckpoint, k.cfg.NumEpochs = true, 6
		return k.works(k.run("configuration"))
	},
	"own-cell": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		k.cfg.ResumeFromCheckpoint = true
		return k.works(k.run("configuration directories own-cell"))
	},
	"fresh-kernel": func(t *testing.T, s *stage) string {
		k := s.kernel(t, example)
		return k.fails(k.run("configuration curves"))
	},
}

func outOfMemory(t *testing.T, s *stage) (*kernel, string) {
	t.Helper()
	k := s.kernel(t, nil)
	// More than the program and the weights take before the first step, less than with the new ones beside them.
	k.cfg.BatchSize, k.cfg.MemoryLimitMB, k.cfg.PatchesPerImage, k.cfg.ModelFeatures = 16, 100, 8, 32
	text := k.fails(k.run(runAll))
	k.cfg.MemoryLimitMB = 0
	return k, text
}

func truncate(t *testing.T, k *kernel, names ...string) {
	t.Helper()
	for _, name := range names {
		path := k.only().Checkpoints().Path(name)
		raw, err := os.ReadFile(path)
		must(t, err)
		must(t, os.Remove(path)) // or its other names would be cut off with it
		must(t, os.WriteFile(path, raw[:1000], 0o666))
	}
}
