package notebook

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// block is a cell of a notebook file.
type block struct {
	Type    string   `json:"cell_type"`
	ID      string   `json:"id"`
	Source  []string `json:"source"`
	Outputs []struct {
		Type string `json:"output_type"`
	} `json:"outputs"`
}

func (c block) text() string { return strings.Join(c.Source, "") }

const mainNotebook = "../../notebooks/unet/gaussian/unet_gaussian_bilinear.ipynb"

func load(t *testing.T, path string) []block {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var nb struct{ Cells []block }
	if err := json.Unmarshal(raw, &nb); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return nb.Cells
}

// notebooks lists every notebook of the clone.
func notebooks(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir("../../notebooks", func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && strings.HasPrefix(d.Name(), ".ipynb") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".ipynb") {
			found = append(found, path)
		}
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("notebooks: %v, %v", found, err)
	}
	return found
}

// codeLines counts the lines of a code cell that are not empty.
func codeLines(text string) int {
	n := 0
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			n++
		}
	}
	return n
}

func TestTheMainNotebookHasTheOriginalsSectionsInOrder(t *testing.T) {
	var got []string
	for _, c := range load(t, mainNotebook) {
		if c.Type == "markdown" {
			got = append(got, strings.TrimSpace(strings.TrimLeft(c.Source[0], "#")))
		}
	}
	want := []string{
		"UNet: removing Gaussian noise", "1. Environment", "2. Configuration", "3. Create Output Directories", "4. TensorBoard", "5. Degraded Datasets",
		"6. Data loaders", "7. Sample batch", "8. Model, Loss, Optimizer", "9. Training Loop", "10. Training Curves", "11. Inference on validation samples",
		"12. Summary", "13. Evaluation on full images", "14. Best and worst restoration", "15. Restore your own pictures",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestNotebooksExplainEachCellAndKeepCodeShort(t *testing.T) {
	for _, path := range notebooks(t) {
		var lengths []int
		for _, c := range load(t, path) {
			text := c.text()
			if c.Type == "markdown" {
				_, prose, _ := strings.Cut(text, "\n")
				if n := len(strings.Fields(prose)); n < 40 || n > 100 {
					t.Errorf("%s: %d words under %q, want 40 to 100", path, n, strings.TrimSpace(c.Source[0]))
				}
				continue
			}
			lengths = append(lengths, codeLines(text))
			if n := codeLines(text); n > 25 && c.ID != "configuration" {
				t.Errorf("%s: cell %q has %d lines of code, want at most 25", path, c.ID, n)
			}
			for _, out := range c.Outputs {
				if out.Type == "error" {
					t.Errorf("%s: cell %q is stored with an error", path, c.ID)
				}
			}
		}
		slices.Sort(lengths)
		if median := lengths[len(lengths)/2]; median > 6 {
			t.Errorf("%s: the median code cell has %d lines, want at most 6", path, median)
		}
	}
}

func TestEveryCellCompiles(t *testing.T) {
	clone, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range notebooks(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".ipynb"), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "cells.go")
			if err := os.WriteFile(file, []byte(program(load(t, path))), 0o666); err != nil {
				t.Fatal(err)
			}
			overlay := filepath.Join(t.TempDir(), "overlay.json")
			raw, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(clone, "pkg", "notebook", "cells", "cells.go"): file}})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(overlay, raw, 0o666); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("go", "build", "-overlay", overlay, "-o", os.DevNull, "rekindle/pkg/notebook/cells").CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// program puts all cells of a notebook into one Go package, as GoNB would with
// the last of them.
func program(cells []block) string {
	var imports, declarations, bodies strings.Builder
	for _, c := range cells {
		if c.Type != "code" {
			continue
		}
		before, body, _ := strings.Cut(c.text(), "%%\n")
		var kept []string
		for _, line := range strings.Split(before, "\n") {
			if !strings.HasPrefix(line, "%") && !strings.HasPrefix(line, "!") {
				kept = append(kept, line)
			}
		}
		before = strings.TrimSpace(strings.Join(kept, "\n"))
		if strings.HasPrefix(before, "import") {
			imports.WriteString(before + "\n")
		} else {
			declarations.WriteString(before + "\n")
		}
		if body != "" {
			fmt.Fprintf(&bodies, "func _() {\n%s\n}\n", body)
		}
	}
	return "package cells\n" + imports.String() + declarations.String() + bodies.String()
}
