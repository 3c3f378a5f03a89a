package documents

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestACloneOnWindowsHasTheSameLineEnds clones what git keeps of a tree as git does it
// there: make, sh and notebooks must not find other line ends. The Makefile works with
// them all the same, for who unpacks or copies with a program that changes them.
func TestACloneOnWindowsHasTheSameLineEnds(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	root, dir := filepath.Join("..", "..", ".."), t.TempDir()
	ours, clone := filepath.Join(dir, "ours"), filepath.Join(dir, "clone")
	files := []string{".gitattributes", "Makefile", "go.mod", "README.md", ".ci/run", "docs/slurm.sh", "pkg/cmd/internal/measure/peer.py", "notebooks/compare.ipynb"}
	for _, name := range files {
		raw, err := os.ReadFile(filepath.Join(root, name))
		must(t, err)
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(ours, name)), 0o777))
		must(t, os.WriteFile(filepath.Join(ours, name), raw, 0o666))
	}
	run := func(in, name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = in
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	run(ours, "git", "init", "-q")
	run(ours, "git", "add", "-A")
	run(ours, "git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "a")
	run(dir, "git", "clone", "-q", "-c", "core.autocrlf=true", "-c", "core.eol=crlf", ours, clone)
	for _, name := range files {
		raw, err := os.ReadFile(filepath.Join(clone, name))
		must(t, err)
		if n := bytes.Count(raw, []byte("\r\n")); n > 0 || len(raw) == 0 {
			t.Errorf("%s has %d line ends of Windows in %d bytes", name, n, len(raw))
		}
	}

	makefile, err := os.ReadFile(filepath.Join(clone, "Makefile"))
	must(t, err)
	want := run(clone, "make", "where-home-is", "help")
	must(t, os.WriteFile(filepath.Join(clone, "Makefile"), bytes.ReplaceAll(makefile, []byte("\n"), []byte("\r\n")), 0o666))
	if got := strings.ReplaceAll(run(clone, "make", "where-home-is", "help"), "\r", ""); got != want {
		t.Errorf("with line ends of Windows make prints\n%s\nwant\n%s", got, want)
	}
}
