package documents

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// row is a line of the table in architecture.md.
type row struct {
	name    string
	imports []string
	engine  bool
	line    int
}

var (
	rowPattern = regexp.MustCompile("^\\| `([a-z0-9/]+)` \\| .* \\| ([a-z0-9/` ]*) ?\\| (yes|no) \\|$")
	nameOf     = regexp.MustCompile("`([a-z0-9/]+)`")
)

func rowsOf(t *testing.T) []row {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(docs, "architecture.md"))
	must(t, err)
	var rows []row
	for i, line := range strings.Split(string(raw), "\n") {
		found := rowPattern.FindStringSubmatch(line)
		if found == nil {
			if strings.HasPrefix(line, "| `") {
				t.Errorf("architecture.md:%d is no row of the form | `package` | what it is | `imports` | yes or no |", i+1)
			}
			continue
		}
		r := row{name: found[1], engine: found[3] == "yes", line: i + 1}
		for _, name := range nameOf.FindAllStringSubmatch(found[2], -1) {
			r.imports = append(r.imports, name[1])
		}
		rows = append(rows, r)
	}
	return rows
}

// pkg is what the source says of a package.
type pkg struct {
	imports []string // of ours, without the common beginning
	engine  bool     // GoMLX among all that it needs
}

func packages(t *testing.T) map[string]pkg {
	t.Helper()
	const ours = "rekindle/pkg/"
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./pkg/...")
	cmd.Dir = clone
	out, err := cmd.Output()
	must(t, err)
	all := map[string]pkg{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath    string
			Imports, Deps []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, ours)
		if strings.HasPrefix(name, "internal/") || name == "notebook/scenarios" {
			continue
		}
		found := pkg{engine: slices.ContainsFunc(p.Deps, func(d string) bool { return strings.HasPrefix(d, "github.com/gomlx/") })}
		for _, i := range p.Imports {
			if short, ok := strings.CutPrefix(i, ours); ok {
				found.imports = append(found.imports, short)
			}
		}
		all[name] = found
	}
}

// wanted is the row that a package ought to have.
func (p pkg) wanted(name string) string {
	imports := ""
	for _, i := range p.imports {
		imports += "`" + i + "` "
	}
	engine := "no"
	if p.engine {
		engine = "yes"
	}
	return fmt.Sprintf("| `%s` | … | %s| %s |", name, imports, engine)
}

func TestTheTableOfImportsIsTrue(t *testing.T) {
	t.Parallel()
	rows, all := rowsOf(t), packages(t)
	place := map[string]int{}
	for i, r := range rows {
		place[r.name] = i
	}
	for name, p := range all {
		i, found := place[name]
		if !found {
			t.Errorf("architecture.md has no row for package %s; add, above all that it imports and below all that import it:\n\t%s", name, p.wanted(name))
			continue
		}
		r := rows[i]
		if !slices.Equal(r.imports, p.imports) || r.engine != p.engine {
			t.Errorf("architecture.md:%d does not say what package %s imports; change the row to\n\t%s", r.line, name, p.wanted(name))
		}
		for _, to := range p.imports {
			if j, found := place[to]; found && j <= i {
				t.Errorf("architecture.md:%d: %s imports %s, which stands above it; arrows point down only: move a row, or the code", r.line, name, to)
			}
		}
	}
	for _, r := range rows {
		if _, found := all[r.name]; !found {
			t.Errorf("architecture.md:%d: there is no package %s; remove the row", r.line, r.name)
		}
	}
}

// Cells that do not compute must not link the engine.
func TestTheLightPackagesNeverReachTheEngine(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for _, name := range []string{"config", "experiment", "plots", "degrade", "metrics", "notebook"} {
		if p, found := all[name]; !found || p.engine {
			t.Errorf("package %s reaches GoMLX (or is gone); go list -deps ./pkg/%s shows through what", name, name)
		}
	}
}
