package watch

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
)

// clock is what the tests take for now.
var clock = time.Date(2026, 1, 2, 14, 3, 22, 0, time.Local)

// run makes an experiment with some finished epochs, and stops the clock.
func run(t *testing.T, epochs int) *experiment.Experiment {
	t.Helper()
	now, alive = func() time.Time { return clock }, func(int) bool { return true }
	t.Cleanup(func() { clock = time.Date(2026, 1, 2, 14, 3, 22, 0, time.Local) })
	cfg := config.Preset("go")
	cfg.ExperimentsDir = t.TempDir()
	exp, err := experiment.Create(cfg, clock.Add(-time.Hour))
	must(t, err)
	if epochs > 0 {
		must(t, past(epochs).Save(exp.HistoryPath()))
	}
	return exp
}

func past(epochs int) *history.History {
	h := &history.History{}
	for i := range epochs {
		h.Append(history.Epoch{TrainLoss: 1 / float64(i+2), ValLoss: 1 / float64(i+2), ValPSNR: 20 + float64(i), LR: 1e-3, EpochTime: 48})
	}
	return h
}

// signed makes it look as if somebody trained.
func signed(t *testing.T, exp *experiment.Experiment) experiment.Owner {
	t.Helper()
	owner := experiment.Myself()
	owner.Since = clock
	raw, err := json.Marshal(owner)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(exp.Dir, ".lock"), raw, 0o666))
	return owner
}

// at writes progress.json as a run does in the middle of its third epoch of seven.
func at(t *testing.T, exp *experiment.Experiment, when time.Time) experiment.Progress {
	t.Helper()
	p := experiment.Progress{Owner: signed(t, exp), Updated: when, Moved: when, FromEpoch: 1, Epoch: 3, NumEpochs: 7, Batch: 78, Batches: 156,
		Loss: 0.4211, ImagesPerSecond: 123.4, MemoryMB: 812, SecondsLeft: 243}
	must(t, exp.SaveProgress(p))
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func plain(s string) string { return s }

func TestARunIsShownFromItsFiles(t *testing.T) {
	exp := run(t, 2)
	at(t, exp, clock.Add(-3*time.Second))
	v := Look(exp, nil)
	if v.Phase != Running || v.Ended() {
		t.Fatalf("got %s, ended %v", v.Phase, v.Ended())
	}
	want := "14:03:22, epoch 3 of 7, batch 78 of 156, 36 %, loss 0.4211, val_loss 0.3333, best: epoch 2 (val_loss 0.3333), lr 1.0e-03, 812 MB memory, 4 min 0 s left"
	if got := v.Line(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	text := strings.Join(v.Screen(80, plain, plain), "\n")
	for _, want := range []string{"unet/gaussian/" + exp.Name(), "is trained, pid ", "36 %", "epoch 3 of 7, batch 78 of 156", "4 min 0 s left, ready at 14:07",
		"val loss       0.5000 → 0.3333      █▁", "val PSNR     20.00 dB → 21.00 dB    ▁█", "★ best: epoch 2", "123.4 images/s", "812 MB memory"} {
		if !strings.Contains(text, want) {
			t.Errorf("the screen lacks %q:\n%s", want, text)
		}
	}
	for _, columns := range []int{40, 60, 80, 200} {
		for _, line := range v.Screen(columns, plain, plain) {
			if n := utf8.RuneCountInString(line); n > max(columns, 72) {
				t.Errorf("with %d columns a line has %d: %s", columns, n, line)
			}
		}
	}
}

func TestPhases(t *testing.T) {
	for name, c := range map[string]struct {
		files func(t *testing.T, exp *experiment.Experiment)
		alive bool
		want  Phase
		says  string
	}{
		"never trained": {func(t *testing.T, exp *experiment.Experiment) {
			must(t, os.Chtimes(exp.ConfigPath(), clock.Add(-time.Hour), clock.Add(-time.Hour)))
		}, false, Nothing, "was never trained"},
		"about to be trained": {func(t *testing.T, exp *experiment.Experiment) {
			must(t, os.Chtimes(exp.ConfigPath(), clock.Add(-time.Minute), clock.Add(-time.Minute)))
		}, false, Prepared, "is new; waiting for its training to begin"},
		"opening the pictures":      {func(t *testing.T, exp *experiment.Experiment) { signed(t, exp) }, true, Starting, "is starting, pid "},
		"training":                  {func(t *testing.T, exp *experiment.Experiment) { at(t, exp, clock.Add(-2*time.Second)) }, true, Running, "is trained, pid "},
		"killed":                    {func(t *testing.T, exp *experiment.Experiment) { at(t, exp, clock.Add(-2*time.Second)) }, false, Killed, "was killed, or its machine went down; last sign of life at 14:03:20"},
		"killed before it trained":  {func(t *testing.T, exp *experiment.Experiment) { signed(t, exp) }, false, Killed, "was killed"},
		"stopped, or on a slow net": {func(t *testing.T, exp *experiment.Experiment) { at(t, exp, clock.Add(-time.Minute)) }, true, Silent, "no sign of life since 14:02:22, pid "},
		"over": {func(t *testing.T, exp *experiment.Experiment) {
			must(t, os.WriteFile(filepath.Join(exp.Dir, ".lock"), nil, 0o666))
			must(t, exp.SaveStats(experiment.Stats{Status: "early_stopped", Sessions: []experiment.Session{{}}}))
		}, false, Over, "is over: early stopped"},
		"over, and about to give the lock back": {func(t *testing.T, exp *experiment.Experiment) {
			signed(t, exp)
			must(t, exp.SaveStats(experiment.Stats{Status: "completed", Sessions: []experiment.Session{{Ended: clock.Add(time.Second)}}}))
		}, true, Over, "is over: completed"},
	} {
		t.Run(name, func(t *testing.T) {
			exp := run(t, 0)
			alive = func(int) bool { return c.alive }
			c.files(t, exp)
			v := Look(exp, nil)
			if v.Phase != c.want || !strings.Contains(v.State(), c.says) {
				t.Errorf("got %s, %q; want %s, %q", v.Phase, v.State(), c.want, c.says)
			}
			if want := c.want == Over || c.want == Killed || c.want == Nothing; v.Ended() != want {
				t.Errorf("ended is %v", v.Ended())
			}
			if got := v.Good(); got != (c.want == Over) {
				t.Errorf("good is %v", got)
			}
		})
	}
}

// The clock of the machine that trains may be wrong by hours.
func TestAFileThatChangesIsASignOfLife(t *testing.T) {
	exp := run(t, 2)
	p := at(t, exp, clock.Add(-3*time.Hour))
	p.Host = "elsewhere"
	must(t, exp.SaveProgress(p))
	v := Look(exp, nil)
	if v.Phase != Silent {
		t.Fatalf("a file of three hours ago: %s", v.Phase)
	}
	clock = clock.Add(time.Second)
	p.Updated = p.Updated.Add(time.Second)
	must(t, exp.SaveProgress(p))
	if v = Look(exp, v); v.Phase != Running {
		t.Errorf("a file that has just changed: %s", v.Phase)
	}
	clock = clock.Add(2 * time.Minute)
	if v = Look(exp, v); v.Phase != Silent {
		t.Errorf("and does not any more for two minutes: %s", v.Phase)
	}
}

func TestLookingWritesNothingAndTakesNoLock(t *testing.T) {
	exp := run(t, 2)
	lock, err := exp.Lock()
	must(t, err)
	defer lock.Release()
	at(t, exp, clock)
	before := listing(t, exp.Dir)
	v := Look(exp, nil)
	v.Screen(80, plain, plain)
	if after := listing(t, exp.Dir); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	must(t, os.Chmod(exp.Dir, 0o555))
	defer os.Chmod(exp.Dir, 0o777)
	if v = Look(exp, v); v.Phase != Running || v.Problem != "" {
		t.Errorf("a folder that may only be read: %s, %s", v.Phase, v.Problem)
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			b.WriteString(path + " " + info.ModTime().String() + "\n")
		}
		return err
	}))
	return b.String()
}

func TestTheLatestIsTheOneThatTrains(t *testing.T) {
	first := run(t, 2)
	root := filepath.Dir(filepath.Dir(filepath.Dir(first.Dir)))
	cfg := config.Preset("go")
	cfg.ExperimentsDir, cfg.Model = root, "dncnn"
	second, err := experiment.Create(cfg, clock.Add(-time.Minute))
	must(t, err)
	must(t, past(1).Save(second.HistoryPath()))
	cfg.Model = "ridnet"
	third, err := experiment.Create(cfg, clock) // in which nothing was trained
	must(t, err)
	must(t, os.Chtimes(third.ConfigPath(), clock.Add(-time.Hour), clock.Add(-time.Hour)))
	for _, c := range []struct {
		do   func()
		want *experiment.Experiment
	}{
		{func() {}, second}, {func() { at(t, first, clock.Add(-time.Second)) }, first}, {func() { at(t, second, clock) }, second},
	} {
		c.do()
		if got, err := Choose(root, experiment.Latest); err != nil || got.Dir != c.want.Dir {
			t.Errorf("got %v, %v; want %s", got, err, c.want.Dir)
		}
	}
	if got, err := Choose(root, first.Name()); err != nil || got.Dir != first.Dir {
		t.Errorf("by name: %v, %v", got, err)
	}
	if _, err := Choose(root, "20990101_000000_none"); err == nil || !strings.Contains(err.Error(), "no such experiment") {
		t.Errorf("a wrong name: %v", err)
	}
	if _, err := Choose(t.TempDir(), experiment.Latest); err == nil || !strings.Contains(err.Error(), "train one first") {
		t.Errorf("none: %v", err)
	}
}

func TestAResumedRunIsMeasuredByWhatItsLastSessionWanted(t *testing.T) {
	exp := run(t, 7)
	must(t, exp.SaveStats(experiment.Stats{Status: "interrupted", Sessions: []experiment.Session{{}, {Changes: []config.Change{{Key: "num_epochs", Old: "7", New: "14"}}}}}))
	v := Look(exp, nil)
	if v.Where() != "7 of 14 epochs" || v.Fraction() != 0.5 {
		t.Errorf("got %q, %v", v.Where(), v.Fraction())
	}
}

func TestADamagedFileIsNoReasonToSeeNothing(t *testing.T) {
	exp := run(t, 0)
	at(t, exp, clock)
	must(t, os.WriteFile(exp.HistoryPath(), []byte("{"), 0o666))
	v := Look(exp, nil)
	if v.Phase != Running || !strings.Contains(strings.Join(v.Screen(80, plain, plain), "\n"), "invalid history") {
		t.Errorf("%s, %q", v.Phase, v.Screen(80, plain, plain))
	}
}

func TestADamagedConfigurationIsNotAnotherOne(t *testing.T) {
	exp := run(t, 7)
	must(t, exp.SaveStats(experiment.Stats{Status: "interrupted", EpochsCompleted: 7, Sessions: []experiment.Session{{}}}))
	must(t, os.WriteFile(exp.ConfigPath(), []byte("{"), 0o666))
	for range 2 {
		if v := Look(exp, nil); v.Name() != exp.Name() || v.Where() != "7 epochs" || v.Problem == "" {
			t.Errorf("got %q, %q, %q", v.Name(), v.Where(), v.Problem)
		}
		must(t, os.WriteFile(exp.HistoryPath(), nil, 0o666)) // and the history is damaged, too
	}
}

func TestSparklines(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		series  history.Series
		columns int
		want    string
	}{
		{nil, 10, ""}, {history.Series{1}, 0, ""}, {history.Series{3}, 5, "▅"}, {history.Series{1, 2, 3, 4, 5, 6, 7, 8}, 8, "▁▂▃▄▅▆▇█"},
		{history.Series{8, 1}, 8, "█▁"}, {history.Series{1, nan, 2}, 3, "▁ █"}, {history.Series{1, 1, 9, 9}, 2, "▁█"}, {history.Series{nan, 1, nan, 2}, 2, "▁█"},
		{history.Series{math.Inf(1), 1, 2}, 3, " ▁█"},
	} {
		if got := Sparkline(c.series, c.columns); got != c.want {
			t.Errorf("%v in %d columns: got %q, want %q", c.series, c.columns, got, c.want)
		}
	}
}
