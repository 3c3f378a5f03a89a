package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/internal/standin"
	"rekindle/pkg/notebook/ipynb"
	"rekindle/pkg/setup"
)

// notebookFile writes a small training notebook.
func notebookFile(t *testing.T, s *setup.Clone, path, title string) {
	t.Helper()
	n := &ipynb.Notebook{Metadata: map[string]any{}, Format: 4, FormatMinor: 5, Cells: []*ipynb.Cell{
		{Type: "markdown", ID: "title", Source: ipynb.Text("# " + title)},
		{Type: "code", ID: "training", Source: "%%\nTrain(c)"},
	}}
	if err := os.MkdirAll(filepath.Dir(filepath.Join(s.Dir, path)), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := n.Save(filepath.Join(s.Dir, path)); err != nil {
		t.Fatal(err)
	}
}

func loaded(t *testing.T, s *setup.Clone, path string) *ipynb.Notebook {
	t.Helper()
	n, err := ipynb.Load(filepath.Join(s.Dir, path))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRefreshStoresOutputsAndAFailureStoresNone(t *testing.T) {
	s := clone(t)
	const good, bad = "notebooks/unet/good.ipynb", "notebooks/unet/bad.ipynb"
	notebookFile(t, s, ipynb.Main, "Main")
	notebookFile(t, s, good, "Good")
	notebookFile(t, s, bad, "Bad")
	const other = "notebooks/compare.ipynb"
	notebookFile(t, s, other, "Other")
	looks := loaded(t, s, other)
	looks.Cells[1].ID = "look"
	if err := looks.Save(filepath.Join(s.Dir, other)); err != nil {
		t.Fatal(err)
	}
	main := loaded(t, s, ipynb.Main)
	main.Cell("training").Source = "%%\nTrain(c, 2)"
	if err := main.Save(filepath.Join(s.Dir, ipynb.Main)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("REKINDLE_CONFIG", `{"num_epochs": 99}`) // is for make run
	// Stands in for nbconvert: the last argument is the notebook, the output folder comes after --output-dir.
	jupyter(t, s, `for last; do :; done
while [ "$1" != --output-dir ]; do shift; done; out=$2
pwd >> `+s.Dir+`/where; echo "$REKINDLE_CONFIG" >> `+s.Dir+`/settings
case $last in */bad.ipynb) echo "a cell is broken" >&2; exit 1;; esac
mkdir -p $out
sed 's/"execution_count": null/"execution_count": 1/; s/"outputs": \[\]/"outputs": [{"output_type": "stream", "name": "stdout", "text": ["trained\\n"]}]/' $last > $out/$(basename $last)`)

	var err error
	text := standin.Printed(t, func() { err = refresh(t.Context(), s, "") })
	if !errors.Is(err, exitStatus(1)) {
		t.Errorf("got %v, want exit status 1 for the notebook that failed", err)
	}
	for _, part := range []string{"✅ " + ipynb.Main, "✅ " + good, "❌ " + bad + " keeps its outputs", "a cell is broken"} {
		if !strings.Contains(text, part) {
			t.Errorf("got %q, want it to say %q", text, part)
		}
	}
	// What was to be trained for it is missing.
	if !strings.Contains(text, "❌ "+other+": not run") || len(loaded(t, s, other).Cells[1].Outputs) > 0 {
		t.Errorf("a notebook that shows what others trained was run although one of them failed: %q", text)
	}
	if got := loaded(t, s, other).Cells[1].Source; got != "%%\nTrain(c)" {
		t.Errorf("a notebook that does not train got the main one's cell: %q", got)
	}
	for _, path := range []string{ipynb.Main, good} {
		n := loaded(t, s, path)
		raw, err := json.Marshal(n.Cell("training").Outputs)
		if err != nil || !strings.Contains(string(raw), "trained") {
			t.Errorf("%s holds the outputs %s (%v)", path, raw, err)
		}
		if err := n.Check(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if got := n.Cell("training").Source; got != "%%\nTrain(c, 2)" {
			t.Errorf("%s: the change to the main notebook was not spread: %q", path, got)
		}
	}
	if n := loaded(t, s, bad); len(n.Cell("training").Outputs) > 0 || n.Check() == nil {
		t.Error("outputs of a run that failed are stored")
	}
	settings, err := os.ReadFile(filepath.Join(s.Dir, "settings"))
	if err != nil || strings.Contains(string(settings), "99") || !strings.Contains(string(settings), quick) {
		t.Errorf("notebooks ran with %q (%v), want their own settings", settings, err)
	}
	where, err := os.ReadFile(filepath.Join(s.Dir, "where"))
	if err != nil || !strings.HasPrefix(string(where), filepath.Join(s.Dir, "build", "refresh-")) {
		t.Errorf("notebooks ran in %s (%v), want a folder of their own", where, err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir, "build", "refresh-*")); len(left) > 0 {
		t.Errorf("%v is left behind", left)
	}

	// With the broken one mended, the notebook that shows what all have trained is the last.
	if err := os.Remove(filepath.Join(s.Dir, bad)); err != nil {
		t.Fatal(err)
	}
	text = standin.Printed(t, func() { err = refresh(t.Context(), s, "") })
	if err != nil || strings.Index(text, "✅ "+other) < strings.Index(text, "✅ "+good) || len(loaded(t, s, other).Cells[1].Outputs) == 0 {
		t.Errorf("got %v and %q, want all outputs stored, those of %s last", err, text, other)
	}
}
