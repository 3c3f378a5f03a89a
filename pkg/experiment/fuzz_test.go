package experiment

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/internal/allocation"
)

// FuzzRecords: whatever the files of an experiment hold, what is known of it can be
// listed, and what was read can be written and read again.
func FuzzRecords(f *testing.F) {
	loss := 0.5
	scores := &Evaluation{NImages: 2}
	scores.PerImage = []ImageScores{{"a.png", Scores{PSNR: 20, SSIM: 0.5}}, {"b.png", Scores{PSNR: Number(math.NaN()), SSIM: 1}}}
	scores.Degraded.PerImage = scores.PerImage
	scores.Summarise()
	cfg := config.Default()
	cfg.ExperimentsDir = f.TempDir()
	e, err := Create(cfg, noon)
	if err != nil {
		f.Fatal(err)
	}
	stats := Stats{Status: "completed", BestValLoss: &loss, Sessions: []Session{{Started: noon, Status: "completed", Changes: []config.Change{{Key: "num_epochs", Old: "1", New: "2"}}}}}
	for _, err := range []error{e.SaveStats(stats), scores.Save(e.MetricsPath()), e.SaveProgress(Progress{Owner: Myself(), Updated: time.Now(), Loss: 1})} {
		if err != nil {
			f.Fatal(err)
		}
	}
	paths := []string{e.StatsPath(), e.MetricsPath(), e.ProgressPath(), filepath.Join(e.Dir, ".lock"), e.ConfigPath()}
	for i, path := range paths[:3] {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), raw)
	}
	f.Add(byte(3), []byte(`{"pid":1,"host":"a","program":"b","since":"2026-01-01T00:00:00Z"}`))
	f.Add(byte(4), []byte(`{"rekindle":{"experiment":"x"},"oom_policy":"stop","num_epochs":1e9}`))
	f.Add(byte(1), []byte(`{"n_images":1,"per_image":[{"psnr":null,"ssim":1}],"degraded":{"per_image":[]}}`))
	f.Fuzz(func(t *testing.T, which byte, raw []byte) {
		path := paths[int(which)%len(paths)]
		if err := os.WriteFile(path, raw, 0o666); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(path)
		var o *Outcome
		allocation.Within(t, len(raw), 600, 1<<19, func() {
			o = Compare([]*Experiment{e})[0]
			_ = o.Network() + o.Corruption() + o.Epochs() + o.Ending()
			_, _ = e.Signed()
			_, _ = e.LoadProgress()
			_ = e.copyOf()
		})
		if s, err := e.LoadStats(); err == nil {
			if err := e.SaveStats(s); err != nil {
				t.Fatal(err)
			}
		}
		if o.Evaluation != nil {
			o.Evaluation.Summarise()
			if err := o.Evaluation.Save(e.MetricsPath()); err != nil {
				t.Fatal(err)
			}
			if _, err := LoadEvaluation(e.MetricsPath()); err != nil {
				t.Fatalf("written again it cannot be read: %v", err)
			}
		}
	})
}
