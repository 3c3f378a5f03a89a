package watch

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rekindle/pkg/experiment"
	"rekindle/pkg/internal/allocation"
)

// FuzzLook: whatever the files of a run hold, it can be watched: a few lines, and no
// percentage beyond its whole.
func FuzzLook(f *testing.F) {
	raw, err := json.Marshal(experiment.Progress{Owner: experiment.Myself(), Updated: time.Now(), FromEpoch: 1, Epoch: 2, NumEpochs: 3, Batch: 1, Batches: 4, Loss: 0.5, SecondsLeft: 60})
	if err != nil {
		f.Fatal(err)
	}
	stats := []byte(`{"status":"completed","sessions":[{"from_epoch":1,"to_epoch":2,"changes":[{"key":"num_epochs","old":"1","new":"9"}]}]}`)
	columns := []byte(`{"train_loss":[1,null],"train_l1":[1,2],"train_ssim":[1,2],"val_loss":[1e300,1e-300],"val_l1":[1,2],"val_ssim":[1,2],"lr":[0,2]}`)
	f.Add(raw, stats, columns)
	f.Add([]byte(`{"pid":1,"epoch":-5,"num_epochs":0,"batch":9,"batches":-1,"seconds_left":1e308,"memory_mb":-1e308,"loss":-1e308,"updated":"0000-01-01T00:00:00Z"}`), []byte(`{`), []byte(``))
	f.Fuzz(func(t *testing.T, progress, stats, columns []byte) {
		exp := &experiment.Experiment{Dir: t.TempDir()}
		for path, raw := range map[string][]byte{exp.ProgressPath(): progress, exp.StatsPath(): stats, exp.HistoryPath(): columns, filepath.Join(exp.Dir, ".lock"): progress} {
			if err := os.WriteFile(path, raw, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		var v *View
		allocation.Within(t, len(progress)+len(stats)+len(columns), 1200, 1<<19, func() {
			v = Look(exp, nil)
			v = Look(exp, v)
			plain := func(s string) string { return s }
			for _, line := range append(v.Screen(80, plain, plain), v.Line(), v.State(), v.Where()) {
				if len(line) > 4000 {
					t.Fatalf("a line of %d bytes", len(line))
				}
			}
		})
		if part := v.Fraction(); !(part >= 0 && part <= 1) {
			t.Fatalf("%v of it is done", part)
		}
		if v.Left() < 0 {
			t.Fatalf("%v is left", v.Left())
		}
	})
}
