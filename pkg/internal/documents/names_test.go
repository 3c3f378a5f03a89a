package documents

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named is a name in architecture.md with the file that has it:
// [`dataset.Sampler.Patch`](../pkg/dataset/sampler.go).
var named = regexp.MustCompile("\\[`(\\w+)\\.(\\w+)(?:\\.(\\w+))?`\\]\\(\\.\\./(pkg/[\\w/]+\\.go)\\)")

func TestNamesInTheArchitectureAreWhereItSays(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(docs, "architecture.md"))
	must(t, err)
	all := named.FindAllStringSubmatch(string(raw), -1)
	if links := strings.Count(string(raw), "](../pkg/"); len(all) != links || links < 20 {
		t.Errorf("%d of %d links into pkg are of the form [`package.Name`](../pkg/package/file.go)", len(all), links)
	}
	for _, n := range all {
		source, err := os.ReadFile(filepath.Join(clone, n[4]))
		if err != nil {
			t.Errorf("%s: %v", n[0], err)
			continue
		}
		declared := regexp.MustCompile(`(?m)^(func|type) ` + n[2] + `\b`)
		if n[3] != "" {
			declared = regexp.MustCompile(`(?m)^func \(\w* ?\*?` + n[2] + `(\[\w+\])?\) ` + n[3] + `\b`)
		}
		if !declared.Match(source) {
			t.Errorf("%s has no %s.%s", n[4], n[1], strings.TrimSuffix(n[2]+"."+n[3], "."))
		}
		if filepath.Base(filepath.Dir(n[4])) != n[1] {
			t.Errorf("%s is not in %s", n[0], n[1])
		}
	}
}

// filepath.Glob takes the name of a folder, "photos [1]", for a part of the pattern;
// tree.Glob does not.
func TestNoFoldersNameIsTakenForAPattern(t *testing.T) {
	must(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if strings.Contains(string(source), "filepath."+"Glob(") {
			t.Errorf("%s uses filepath.Glob", path)
		}
		return err
	}))
}
