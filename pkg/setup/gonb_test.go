package setup

import (
	"debug/buildinfo"
	"encoding/json"
	"go/parser"
	"go/token"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
)

func gonbSource(t *testing.T) string {
	t.Helper()
	said, err := exec.Command("go", "mod", "download", "-json", gonbModule).Output()
	var module struct{ Dir string }
	if e := json.Unmarshal(said, &module); err != nil || e != nil || module.Dir == "" {
		t.Fatalf("the source of GoNB is not there: %v\n%s", err, said)
	}
	return module.Dir
}

func TestTheCorrectionsFitTheVersionOfGoNBThatIsPinned(t *testing.T) {
	texts, err := correct(gonbSource(t))
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range texts {
		if _, err := parser.ParseFile(token.NewFileSet(), file, text, parser.AllErrors); err != nil {
			t.Errorf("with its corrections %s is no Go: %v", file, err)
		}
	}
}

func TestACorrectionThatNoLongerFitsIsNamed(t *testing.T) {
	kept := corrections
	defer func() { corrections = kept }()
	corrections = []correction{{"main.go", "no such line", ""}}
	if _, err := correct(gonbSource(t)); err == nil || !strings.Contains(err.Error(), "GoNB has changed") || !strings.Contains(err.Error(), "no such line") {
		t.Errorf("got %v, want an error that names the place", err)
	}
}

func TestAGoNBWithOtherCorrectionsIsBuiltAgain(t *testing.T) {
	built := func(tags string) *buildinfo.BuildInfo {
		return &buildinfo.BuildInfo{Settings: []debug.BuildSetting{{Key: "-tags", Value: tags}}}
	}
	mine := correctionsTag()
	if !corrected(built(mine)) || corrected(built("")) || corrected(&buildinfo.BuildInfo{}) {
		t.Error("a GoNB is not known by its corrections")
	}
	kept := corrections
	defer func() { corrections = kept }()
	corrections = append([]correction{}, kept...)
	corrections[0].new += " "
	if corrected(built(mine)) {
		t.Error("a GoNB with other corrections counts as built")
	}
}
