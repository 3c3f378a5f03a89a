package documents

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// withoutExample are packages of architecture.md's table that have no runnable example, and why.
var withoutExample = map[string]string{
	"dataset/photographs": "its one function downloads",
	"dataset/div2k":       "not written yet",
	"fetch":               "not written yet",
}

func TestEveryPackageHasAnExampleThatRuns(t *testing.T) {
	t.Parallel()
	rows := rowsOf(t)
	if len(rows) < 40 {
		t.Fatalf("architecture.md's table has %d rows", len(rows))
	}
	missing := map[string]bool{}
	for _, r := range rows {
		if strings.HasPrefix(r.name, "cmd/") || hasExample(t, filepath.Join(clone, "pkg", r.name)) {
			continue
		}
		missing[r.name] = true
		if withoutExample[r.name] == "" {
			t.Errorf("package %s has no example that go test runs; write pkg/%s/example_test.go, a func Example with an // Output: comment, or name it in withoutExample with the reason",
				r.name, r.name)
		}
	}
	for name := range withoutExample {
		if !missing[name] {
			t.Errorf("package %s has an example now, or is gone; remove it from withoutExample in examples_test.go", name)
		}
	}
}

// hasExample reports whether a package's tests hold an example whose output is compared.
func hasExample(t *testing.T, dir string) bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	must(t, err)
	var files []*ast.File
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		must(t, err)
		file, err := parser.ParseFile(token.NewFileSet(), path, raw, parser.ParseComments)
		must(t, err)
		files = append(files, file)
	}
	for _, e := range doc.Examples(files...) {
		if e.Output != "" {
			return true
		}
	}
	return false
}
