package ipynb

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const top = "../../.."

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git")
	}
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, said)
	}
}

// strict is the name of an environment variable, set by "make check", with which
// notebooks that differ from the last commit are tested too. Without it they
// are somebody's own: everybody edits the configuration cell and runs it.
const strict = "REKINDLE_CHECK_NOTEBOOKS"

// notebooks are those of this clone that are to be tested.
func notebooks(t *testing.T) map[string]*Notebook {
	t.Helper()
	files, err := List(top)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*Notebook{}
	for _, f := range files {
		if os.Getenv(strict) == "" && edited(f) {
			t.Logf("%s is not as it was committed, and not tested; \"make check\" would", f)
			continue
		}
		if all[f], err = Load(filepath.Join(top, f)); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// edited says whether git knows a file to differ from the last commit.
func edited(file string) bool {
	cmd := exec.Command("git", "diff", "--quiet", "HEAD", "--", file)
	cmd.Dir = top
	return cmd.Run() != nil && cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == 1
}

func TestTrainingNotebooksHaveTheSameCells(t *testing.T) {
	all := notebooks(t)
	main := all[Main]
	if main == nil {
		t.Skip("the main notebook is not as it was committed")
	}
	found := map[string]bool{} // networks and how they enlarge
	for file, n := range all {
		if !n.Trains() {
			continue
		}
		found[n.key("Model")+" "+n.key("ModelBilinear")] = true
		synced := n.Sync(main)
		if len(synced.Cells) != len(n.Cells) {
			t.Errorf("%s has %d cells, the main notebook %d: run \"make sync\"", file, len(n.Cells), len(main.Cells))
			continue
		}
		for i, c := range n.Cells {
			if want := synced.Cells[i]; c.ID != want.ID || c.Type != want.Type || c.Source != want.Source {
				t.Errorf("%s: the cell %s is not that of the main notebook, or not formatted: run \"make sync\"", file, c.ID)
			}
		}
		if folder := "notebooks/" + n.value("Model") + "/"; !strings.HasPrefix(file, folder) {
			t.Errorf("%s trains %s and belongs in %s", file, n.value("Model"), folder)
		}
	}
	if len(all) < 5 {
		return // some are being edited
	}
	for _, want := range []string{`"unet" true`, `"unet" false`, `"unet_residual" true`, `"unet_residual" false`, `"attention_unet" true`} {
		if !found[want] {
			t.Errorf("no notebook trains %s", want)
		}
	}
}

// value is a value without quotes.
func (n *Notebook) value(key string) string { return strings.Trim(n.key(key), `"`) }

func TestStoredOutputsAreThoseOfTheCells(t *testing.T) {
	var size int64
	names := map[string]string{}
	for file, n := range notebooks(t) {
		if err := n.Check(); err != nil {
			t.Errorf("%s: %s: run \"make notebooks\"", file, strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		info, err := os.Stat(filepath.Join(top, file))
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
		if pictures := n.pictures(); n.Trains() && pictures < 6 {
			t.Errorf("%s shows %d pictures, want at least 6", file, pictures)
		}
		if other, taken := names[filepath.Base(file)]; taken {
			t.Errorf("%s and %s would both be build/notebooks/%s", file, other, filepath.Base(file))
		}
		names[filepath.Base(file)] = file
	}
	if size > MaxAllBytes {
		t.Errorf("all notebooks have %d kB, want at most %d", size/1000, MaxAllBytes/1000)
	}
}
