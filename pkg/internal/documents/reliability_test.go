package documents

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// promised matches the name of a test with its package, as docs/reliability.md writes it.
var promised = regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz)\\w+)`")

// TestEveryPromiseHasATest compares docs/reliability.md with the source: each row of
// its tables names a test, and each test that it names is there.
func TestEveryPromiseHasATest(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(clone, "docs", "reliability.md"))
	must(t, err)
	named := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		tests := promised.FindAllStringSubmatch(line, -1)
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| promise") && len(tests) == 0 {
			t.Errorf("docs/reliability.md promises without a test: %s", line)
		}
		for _, test := range tests {
			named++
			if !hasTest(t, filepath.Join(clone, "pkg", filepath.FromSlash(test[1])), test[2]) {
				t.Errorf("docs/reliability.md names %s.%s, which is not in the source", test[1], test[2])
			}
		}
	}
	if named < 20 {
		t.Errorf("only %d tests are named: is the table read?", named)
	}
}

func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		if strings.Contains(string(text), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}
