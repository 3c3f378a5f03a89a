package experiment

import (
	"math"
	"os"
	"path/filepath"
	"rekindle/pkg/history"
	"strings"
	"testing"
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
