package reference

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Python runs a script of the test's testdata folder with an interpreter that has PyTorch. Without
// one the test is skipped, except in CI, which has to have it.
func Python(t *testing.T, script string, args ...string) string {
	t.Helper()
	return PythonFile(t, filepath.Join("testdata", script), args...)
}

// PythonFile is [Python] for a script anywhere.
func PythonFile(t *testing.T, script string, args ...string) string {
	t.Helper()
	p := Interpreter(t)
	out, err := exec.Command(p, append([]string{script}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", p, script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Interpreter is a Python that has PyTorch. Without one the test is skipped,
// except in CI, which has to have it.
func Interpreter(t *testing.T) string {
	t.Helper()
	for _, p := range []string{os.Getenv("REKINDLE_PYTHON"), "/usr/bin/python3", "python3"} {
		if p != "" && exec.Command(p, "-c", "import torch").Run() == nil {
			return p
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("CI needs a Python with PyTorch (Debian: python3-torch); none was found")
	}
	t.Skip("no Python with PyTorch on this machine (Debian: python3-torch; or name one in REKINDLE_PYTHON)")
	return ""
}
