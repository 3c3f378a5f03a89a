package documents

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// quotedMessage is a message between backquotes in a cell of a table.
var quotedMessage = regexp.MustCompile("`([^`]+)`")

// TestEveryMessageOfTroubleshootingIsPrinted compares docs/troubleshooting.md with the
// source: each message in a table that begins with "it says" is the wording of a
// string of the source. "…" in it stands for what varies.
func TestEveryMessageOfTroubleshootingIsPrinted(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(docs, "troubleshooting.md"))
	must(t, err)
	wordings := wordingsOf(t)
	ours, messages := false, 0
	for i, line := range strings.Split(string(raw), "\n") {
		cells := strings.Split(line, " | ")
		switch {
		case strings.HasPrefix(line, "| it says |"):
			ours = true
		case !strings.HasPrefix(line, "|"), strings.HasPrefix(line, "| another program says |"):
			ours = false
		case ours && !strings.HasPrefix(line, "|---"):
			found := quotedMessage.FindAllStringSubmatch(cells[0], -1)
			if len(found) != 1 || len(cells) != 3 {
				t.Errorf("troubleshooting.md:%d is no row of the form | `message` | what it means | what to do |", i+1)
			}
			for _, m := range found {
				messages++
				if !slices.ContainsFunc(wordings, func(w []string) bool { return printedBy(m[1], w) }) {
					t.Errorf("troubleshooting.md:%d: no message in the source reads\n\t%s", i+1, m[1])
				}
			}
		}
	}
	if messages < 80 {
		t.Errorf("only %d messages were found: are the tables read?", messages)
	}
}

// printedBy reports whether the parts of a message stand in one string of a package, in
// their order, or else, where errors are wrapped, each in one of its strings.
func printedBy(message string, wordings []string) bool {
	var parts []string
	for _, part := range strings.Split(message, "…") {
		if part = strings.TrimSpace(part); len(part) > 1 { // not the punctuation between two placeholders
			parts = append(parts, part)
		}
	}
	inOrder := func(wording string) bool {
		for _, part := range parts {
			_, rest, found := strings.Cut(wording, part)
			if !found {
				return false
			}
			wording = rest
		}
		return len(parts) > 0
	}
	if slices.ContainsFunc(wordings, inOrder) {
		return true
	}
	for _, part := range parts {
		if len(part) < 10 || !slices.ContainsFunc(wordings, func(w string) bool { return strings.Contains(w, part) }) {
			return false
		}
	}
	return len(parts) > 0
}

// wordingsOf returns the strings of each package, tests left out, with "…" in the
// place of verbs, and what is not Go as one string each.
func wordingsOf(t *testing.T) [][]string {
	t.Helper()
	folders := map[string][]string{}
	must(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		folder := filepath.Dir(path)
		ast.Inspect(file, func(n ast.Node) bool {
			expression, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			text, ok := joined(expression)
			if ok && len(text) > 8 {
				folders[folder] = append(folders[folder], verb.ReplaceAllString(text, "…"))
			}
			return !ok
		})
		return nil
	}))
	packages := slices.Collect(maps.Values(folders))
	for _, other := range []string{"Makefile", "pkg/setup/papermill/rekindle_papermill.py"} {
		text, err := os.ReadFile(filepath.Join(clone, other))
		must(t, err)
		packages = append(packages, []string{string(text)})
	}
	return packages
}

// joined is the value of a string, or of a sum of strings, in whose place a name or a
// call stands as "…"; false where there is no string in it.
func joined(e ast.Expr) (text string, ok bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		left, isLeft := joined(e.X)
		right, isRight := joined(e.Y)
		if !isLeft {
			left = "…"
		}
		if !isRight {
			right = "…"
		}
		return left + right, isLeft || isRight
	}
	return "", false
}

func TestAMessageIsFoundByItsWordsOnly(t *testing.T) {
	wordings := []string{"train: … has … MB free; make room", "no experiment yet", "there are … under …, which is no folder"}
	for _, c := range []struct {
		message string
		want    bool
	}{
		{"… has … MB free; make room", true},
		{"… has … MB free; make more room", false},
		{"make room … has … MB free", false}, // in another order
		{"no experiment yet … which is no folder", true},
		{"no experiment … yet which is no folder", false},
		{"no experiments yet", false},
		{"…", false},
	} {
		if got := printedBy(c.message, wordings); got != c.want {
			t.Errorf("%q: got %v, want %v", c.message, got, c.want)
		}
	}
}
