package scenarios

import (
	"os"
	"path/filepath"
	"rekindle/pkg/notebook/ipynb"
	"slices"
	"strings"
	"testing"
)

// TestNotebooks runs all cells of every notebook.
func TestNotebooks(t *testing.T) {
	if os.Getenv("REKINDLE_SCENARIOS") == "" {
		t.Skip("this takes minutes and needs Jupyter; set REKINDLE_SCENARIOS=1 to run it")
	}
	m := setUp(t)
	files, err := ipynb.List(m.clone)
	must(t, err)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".ipynb"), func(t *testing.T) {
			t.Parallel()
			n := openFile(t, m, file, `{"num_epochs": 1, `+strings.TrimPrefix(tiny, "{"))
			all := n.runAll()
			n.works(all)
			if !slices.Contains(n.ids, "training") {
				return
			}
			n.says(all.of("training"), "Training completed: 1 epochs")
			if got := all.pictures(); got < 6 {
				t.Errorf("got %d pictures, want at least 6", got)
			}
		})
	}
}
