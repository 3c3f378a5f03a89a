package experiment

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/history"
	"rekindle/pkg/internal/disk"
)

func TestAHistoryThatHoldsMoreIsKept(t *testing.T) {
	e := create(t, settings(t), noon)
	three := &history.History{}
	for i := range 3 {
		three.Append(history.Epoch{TrainLoss: 1 / float64(i+3), ValLoss: math.NaN(), LR: 1e-3})
	}
	save := func(h *history.History) string {
		t.Helper()
		kept, err := e.SaveHistory(h)
		if err != nil {
			t.Fatal(err)
		}
		if kept == "" {
			return ""
		}
		return filepath.Base(kept)
	}
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: kept as %q, want %q", what, got, want)
		}
	}
	two := three.Clone()
	two.Resize(2)
	expect("none before", save(&two), "")
	expect("an epoch more", save(three), "")
	expect("the same again", save(three), "")
	expect("back to an older checkpoint", save(&two), "history.json.before-1")
	if old, err := history.Load(e.HistoryPath() + ".before-1"); err != nil || old.Len() != 3 {
		t.Errorf("the copy: %v, %v", old, err)
	}
	edit := func(from, to string) {
		t.Helper()
		raw, err := os.ReadFile(e.HistoryPath())
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(raw), from, to, 1)
		if text == string(raw) {
			t.Fatalf("%q is not in %s", from, raw)
		}
		if err := os.WriteFile(e.HistoryPath(), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	edit("0.25", "0.26")
	expect("a number changed", save(three), "history.json.before-2")
	edit("{", `{"remark": "the lamp was off",`)
	expect("a key of a person's own", save(three), "history.json.before-3")
	edit("{", "")
	expect("no JSON any more", save(three), "history.json.before-4")
	expect("all is well", save(three), "")
}

// What cannot be read may be whole: an unreadable file, of another user or on a failing
// disk, in a folder that may be written.
func TestWhatCannotBeReadIsNotReplaced(t *testing.T) {
	e := trained(t, create(t, settings(t), noon))
	h := history.History{}
	h.Append(history.Epoch{TrainLoss: 1, ValLoss: 1, LR: 1})
	before := Stats{Status: "completed", Sessions: []Session{{Status: "completed"}}}
	if err := errors.Join(h.Save(e.HistoryPath()), e.SaveStats(before), os.Chmod(e.HistoryPath(), 0), os.Chmod(e.StatsPath(), 0)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(e.Dir, 0o777); err != nil {
		t.Fatal(err)
	}
	disk.AsSomebody(t, filepath.Dir(e.Dir), func() {
		if err := e.SaveStats(Stats{Status: "interrupted"}); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), e.StatsPath()) {
			t.Errorf("saving statistics: %v", err)
		}
		if _, err := e.SaveHistory(&history.History{}); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), e.HistoryPath()) {
			t.Errorf("saving the history: %v", err)
		}
		if kept, err := e.QuarantineHistory(); !errors.Is(err, fs.ErrPermission) || kept != "" {
			t.Errorf("setting the history aside: %q, %v", kept, err)
		}
	})
	if err := errors.Join(os.Chmod(e.HistoryPath(), 0o644), os.Chmod(e.StatsPath(), 0o644)); err != nil {
		t.Fatal(err)
	}
	if got, err := e.History(); err != nil || got.Len() != 1 {
		t.Errorf("the history of after: %v, %v", got, err)
	}
	if got, err := e.LoadStats(); err != nil || got.Status != "completed" || len(got.Sessions) != 1 {
		t.Errorf("the statistics of after: %+v, %v", got, err)
	}
}
