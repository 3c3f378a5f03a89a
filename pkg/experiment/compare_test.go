package experiment

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/history"
)

// measured makes an experiment of that name; gain and loss are NaN for none.
func measured(t *testing.T, cfg config.Config, hour int, gain, loss float64) *Experiment {
	t.Helper()
	e := create(t, cfg, noon.Add(time.Duration(hour)*time.Hour))
	if !math.IsNaN(loss) {
		h := &history.History{}
		h.Append(history.Epoch{TrainLoss: 1, ValLoss: loss})
		if err := h.Save(e.HistoryPath()); err != nil {
			t.Fatal(err)
		}
	}
	if !math.IsNaN(gain) {
		s := &Evaluation{NImages: 1}
		s.Mean.PSNR, s.Degraded.Mean.PSNR = Number(12+gain), 12
		if err := s.Save(e.MetricsPath()); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func TestOutcomesAreSortedAndSayWhatIsMissing(t *testing.T) {
	nan := math.NaN()
	cfg := settings(t)
	worse, better := measured(t, cfg, 1, 3, 0.2), measured(t, cfg, 2, 8, 0.3)
	started, low, high := measured(t, cfg, 3, nan, nan), measured(t, cfg, 4, nan, 0.1), measured(t, cfg, 5, nan, 0.4)
	broken := measured(t, cfg, 6, nan, nan)
	if err := os.WriteFile(broken.HistoryPath(), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(broken.ConfigPath()); err != nil {
		t.Fatal(err)
	}
	got := Compare([]*Experiment{started, high, worse, broken, low, better})
	for i, want := range []struct {
		*Experiment
		missing string
	}{
		{better, ""}, {worse, ""}, {low, "it is not evaluated yet"}, {high, "it is not evaluated yet"},
		{started, "no epoch is finished yet; it is not evaluated yet"}, {broken, "it has no config.json; history: " + broken.HistoryPath() + ": invalid history"},
	} {
		if got[i].Dir != want.Dir {
			t.Errorf("place %d has %s, want %s", i+1, got[i].Name(), want.Name())
		}
		if missing := strings.Join(got[i].Missing, "; "); !strings.HasPrefix(missing, want.missing) || want.missing == "" && missing != "" {
			t.Errorf("%s: missing %q, want %q", got[i].Name(), missing, want.missing)
		}
	}
	if g := got[0].Gain(); g != 8 {
		t.Errorf("the best gain is %g, want 8", g)
	}
}

func TestWhatCannotBeReadIsNoNumber(t *testing.T) {
	for name, file := range map[string]func(*Experiment) string{
		"config":  func(e *Experiment) string { return e.ConfigPath() },
		"history": func(e *Experiment) string { return e.HistoryPath() },
		"stats":   func(e *Experiment) string { return e.StatsPath() },
		"scores":  func(e *Experiment) string { return e.MetricsPath() },
	} {
		for _, text := range []string{"", "null", "[]", "{", "\x00\x00\x00"} {
			e := measured(t, settings(t), 1, 3, 0.2)
			if err := os.WriteFile(file(e), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			o := Compare([]*Experiment{e})[0]
			got := fmt.Sprint(o.Network(), "|", o.Epochs(), "|", o.Ending(), "|", o.Gain())
			want := map[string]string{
				"config":  "–|1 of –|no session has ended|3",
				"history": "unet|– of 36|no session has ended|3",
				"stats":   "unet|1 of 36|–|3",
				"scores":  "unet|1 of 36|no session has ended|NaN",
			}[name]
			if name == "stats" && text == "null" { // as before the first session
				continue
			}
			if got != want || len(o.Damaged) != 1 {
				t.Errorf("%s %q: %s, want %s; damaged: %q", name, text, got, want, o.Damaged)
			}
		}
	}
}

func TestFilesThatAnEditorOfWindowsSavedAreRead(t *testing.T) {
	e := measured(t, settings(t), 1, 3, 0.2)
	if err := e.SaveStats(Stats{Status: "completed"}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{e.ConfigPath(), e.HistoryPath(), e.StatsPath(), e.MetricsPath()} {
		raw, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, append([]byte("\xEF\xBB\xBF"), raw...), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	o := Compare([]*Experiment{e})[0]
	if got := fmt.Sprint(o.Network(), "|", o.Epochs(), "|", o.Ending(), "|", o.Gain()); got != "unet|1 of 36|completed|3" || len(o.Missing) != 0 {
		t.Errorf("%s; missing: %q", got, o.Missing)
	}
	if covered, err := o.History.Covers(e.HistoryPath()); err != nil || !covered {
		t.Errorf("the same history counts as another one (%v)", err)
	}
	if _, ours := e.origin(); !ours {
		t.Error("it is not known as ours")
	}
}

func TestTheGainIsOverPicturesThatHaveItBeforeAndAfter(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		name          string
		before, after []float64
		want          float64
	}{
		{"all finite", []float64{10, 20}, []float64{16, 24}, 5},
		{"restored to the clean picture", []float64{10, 20}, []float64{16, inf}, 6},
		{"as read from the file", []float64{10, 20}, []float64{16, nan}, 6},
		{"clean before", []float64{inf, 20}, []float64{40, 24}, 4},
		{"clean before and after", []float64{inf, 20}, []float64{inf, 24}, 4},
		{"nothing to compare", []float64{inf}, []float64{inf}, nan},
		{"means alone", nil, nil, 8},
	} {
		e := &Evaluation{}
		e.Mean.PSNR, e.Degraded.Mean.PSNR = 20, 12
		for i := range c.before {
			e.Degraded.PerImage = append(e.Degraded.PerImage, ImageScores{Scores: Scores{PSNR: Number(c.before[i])}})
			e.PerImage = append(e.PerImage, ImageScores{Scores: Scores{PSNR: Number(c.after[i])}})
		}
		if got := (&Outcome{Evaluation: e}).Gain(); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%s: got %g, want %g", c.name, got, c.want)
		}
	}
}

func TestSettingsThatDifferAreListedWithEveryValue(t *testing.T) {
	nan := math.NaN()
	cfg := settings(t)
	a := measured(t, cfg, 1, 3, nan)
	cfg.BatchSize, cfg.ResumeFromCheckpoint = cfg.BatchSize+1, true
	b := measured(t, cfg, 2, 2, nan)
	cfg.Model, cfg.ModelFeatures = "attention_unet", 99
	c := measured(t, cfg, 3, 1, nan)
	unknown := measured(t, cfg, 4, nan, nan)
	if err := os.Remove(unknown.ConfigPath()); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, s := range Settings(Compare([]*Experiment{a, b, c, unknown})) {
		lines = append(lines, s.Key+": "+strings.Join(s.Values, " "))
	}
	old := settings(t)
	want := strings.NewReplacer("B", strconv.Itoa(old.BatchSize), "C", strconv.Itoa(old.BatchSize+1), "F", strconv.Itoa(old.ModelFeatures), "M", `"`+old.Model+`"`).Replace(
		"model: M M \"attention_unet\" \nbatch_size: B C C \nmodel_features: F F 99 ")
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if s := Settings(Compare([]*Experiment{unknown})); s != nil {
		t.Errorf("no configuration at all: got %v", s)
	}
}
