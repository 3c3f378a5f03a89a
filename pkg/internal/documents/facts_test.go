package documents

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var verb = regexp.MustCompile(`%[+#]?[0-9.]*[a-z]`)

// inSource checks that each line is the wording of a string in the source.
func inSource(t *testing.T, b block) {
	t.Helper()
	var wordings []*regexp.Regexp
	must(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil && len(text) > 20 {
					wordings = append(wordings, regexp.MustCompile("^"+strings.Join(quoted(verb.Split(text, -1)), ".*")+"$"))
				}
			}
			return true
		})
		return nil
	}))
	for line := range strings.Lines(b.text) {
		line = strings.TrimSpace(line)
		if !slices.ContainsFunc(wordings, func(w *regexp.Regexp) bool { return w.MatchString(line) }) {
			t.Errorf("%s: no message in the source reads\n\t%s", b, line)
		}
	}
}

func quoted(parts []string) []string {
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return parts
}

// sameTree checks that what a document shows of a folder exists, and that it
// leaves nothing out.
func sameTree(t *testing.T, s *stage, b block) {
	t.Helper()
	rows := strings.Split(strings.TrimRight(b.text, "\n"), "\n")
	shown := map[string]bool{}
	parent := ""
	for _, row := range rows[1:] {
		indent := len(row) - len(strings.TrimLeft(row, " "))
		name := strings.Fields(row)[0]
		if indent == 4 {
			parent = ""
		}
		shown[parent+strings.TrimSuffix(name, "/")] = true
		if strings.HasSuffix(name, "/") && indent == 4 {
			parent = name
		}
	}
	root := filepath.Join(s.done, strings.TrimPrefix(strings.TrimSpace(rows[0]), "experiments/"))
	for path := range shown {
		if _, err := os.Stat(filepath.Join(root, path)); err != nil && !strings.Contains(path, "emergency") {
			t.Errorf("%s: a real experiment has no %s", b, path)
		}
	}
	for _, dir := range []string{".", "checkpoints"} {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		must(t, err)
		for _, e := range entries {
			if path := filepath.Join(dir, e.Name()); !strings.HasPrefix(e.Name(), ".") && !shown[path] && !shown[path+"/tensorboard_logs"] {
				t.Errorf("%s: a real experiment also has %s", b, path)
			}
		}
	}
}

// sameKeys checks that a JSON block has the keys and types of a real file.
func sameKeys(t *testing.T, s *stage, b block) {
	t.Helper()
	var shown, real any
	if err := json.Unmarshal([]byte(b.text), &shown); err != nil {
		t.Errorf("%s: %v", b, err)
		return
	}
	raw, err := os.ReadFile(filepath.Join(s.done, "unet", "gaussian", exampleName, b.value))
	must(t, err)
	must(t, json.Unmarshal(raw, &real))
	if a, b2 := shape(shown), shape(real); !reflect.DeepEqual(a, b2) {
		t.Errorf("%s: the document shows\n\t%v\na real %s has\n\t%v", b, a, b.value, b2)
	}
}

// shape replaces the values of decoded JSON by their types.
func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for key, item := range v {
			m[key] = shape(item)
		}
		return m
	case []any:
		if len(v) == 0 {
			return "empty list"
		}
		return []any{shape(v[0])}
	}
	return fmt.Sprintf("%T", v)
}
