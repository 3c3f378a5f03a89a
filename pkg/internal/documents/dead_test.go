package documents

import (
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// calls are what notebooks and documents call of the packages for cells.
var calls = regexp.MustCompile(`\b(notebook|compute|network)\.([A-Z]\w*)\(`)

// ofALibrary are functions for programs of other people, without which a family of
// them would have a gap: measures of two pictures, tensors of every type, a network
// opened without choices.
var ofALibrary = map[string]string{"MAE": "metrics", "BoxSSIM": "metrics", "FromBytes": "checkpoint/pth", "Entry.String": "checkpoint/pth", "Open": "restore"}

// TestNothingIsDead asks deadcode for functions that no program, no cell and no
// document reaches. A cell is Go that no compiler sees here, so all calls of all
// cells are written into a program first. It takes half a minute: make check.
func TestNothingIsDead(t *testing.T) {
	if os.Getenv("REKINDLE_CHECK_DEAD") == "" {
		t.Skip("REKINDLE_CHECK_DEAD is not set; make check does")
	}
	const program = clone + "/build/deadcode"
	must(t, os.MkdirAll(program, 0o777))
	defer os.RemoveAll(program)
	must(t, os.WriteFile(program+"/main.go", []byte(ofCells(t)), 0o666))
	cmd := exec.Command("go", "tool", "deadcode", "./...", "./build/deadcode")
	cmd.Dir = clone
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("deadcode: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		wanted := strings.Contains(line, "pkg/internal/") // tests' own
		for name, of := range ofALibrary {
			wanted = wanted || strings.HasPrefix(line, "pkg/"+of+"/") && strings.HasSuffix(strings.TrimSpace(line), " "+name)
		}
		if !wanted {
			t.Errorf("nothing reaches this: %s", line)
		}
	}
}

// ofCells is a program that refers to all that cells call.
func ofCells(t *testing.T) string {
	t.Helper()
	found := map[string]bool{}
	for _, pattern := range []string{"/notebooks/*.ipynb", "/notebooks/*/*.ipynb", "/notebooks/*/*/*.ipynb", "/notebooks/*/*/*/*.ipynb", "/docs/*.md", "/README.md"} {
		files, err := filepath.Glob(clone + pattern)
		must(t, err)
		for _, file := range files {
			raw, err := os.ReadFile(file)
			must(t, err)
			for _, call := range calls.FindAllStringSubmatch(string(raw), -1) {
				found[call[1]+"."+call[2]] = true
			}
		}
	}
	var b strings.Builder
	b.WriteString("package main\n\nimport (\n\t\"rekindle/pkg/notebook\"\n\t\"rekindle/pkg/notebook/compute\"\n\t\"rekindle/pkg/notebook/network\"\n)\n\nfunc main() {\n\tfor _, f := range []any{\n")
	for _, name := range slices.Sorted(maps.Keys(found)) {
		fmt.Fprintf(&b, "\t\t%s,\n", name)
	}
	b.WriteString("\t} {\n\t\t_ = f\n\t}\n}\n")
	if len(found) < 15 {
		t.Fatalf("only %d calls were found in notebooks and documents", len(found))
	}
	_, err := parser.ParseFile(token.NewFileSet(), "main.go", b.String(), 0)
	must(t, err)
	return b.String()
}
