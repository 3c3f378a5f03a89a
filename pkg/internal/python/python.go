// Package python runs the programs of others that tests compare with: PyTorch,
// ONNX's own library, ONNX Runtime, TensorBoard.
//
// `make peers` puts them into build/python of the clone; REKINDLE_PYTHON names
// another Python. A test whose peer is missing is skipped, saying so; in CI
// (environment variable CI set) it fails.
package python

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Run runs a script that imports the module and returns what it prints.
func Run(t testing.TB, module, script string, args ...string) string {
	t.Helper()
	var complaints strings.Builder
	cmd := exec.Command(With(t, module), append([]string{script}, args...)...)
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", cmd, err, out, &complaints)
	}
	return strings.TrimSpace(string(out))
}

// With is the Python, if it has the module.
func With(t testing.TB, module string) string {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	problem, asked := problems[module]
	if !asked {
		problem = ask(module)
		problems[module] = problem
	}
	if problem != "" && os.Getenv("CI") != "" {
		t.Fatal(problem)
	}
	if problem != "" {
		t.Skip(problem)
	}
	return interpreter()
}

var (
	mu       sync.Mutex
	problems = map[string]string{} // by module; "": none
)

func interpreter() string {
	if p := os.Getenv("REKINDLE_PYTHON"); p != "" {
		return p
	}
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "../../../build/python/bin/python")
}

// find looks for a module without importing it: PyTorch's import takes seconds.
const find = "import importlib.util, sys; importlib.util.find_spec(sys.argv[1]) or sys.exit('it is not installed')"

func ask(module string) (problem string) {
	cmd := exec.Command(interpreter(), "-c", find, module)
	cmd.Dir = os.TempDir() // Python takes a folder of that name where it runs for the module
	if out, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Sprintf("no Python with %s: make peers, or name one in REKINDLE_PYTHON (%v: %s)", module, err, lines[len(lines)-1])
	}
	return ""
}
