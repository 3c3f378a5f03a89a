// Package plugin gives tests XLA on this computer's processor.
//
// `make setup` installs its plugin. A test is skipped where there is none, saying
// so; in CI (environment variable CI set) it fails.
package plugin

import (
	"os"
	"sync"
	"testing"

	"github.com/gomlx/compute"

	"rekindle/pkg/backend"
)

// XLA is the engine, one for all tests of the process.
func XLA(t testing.TB) compute.Backend {
	t.Helper()
	engine, problem := open()
	if engine != nil {
		return engine
	}
	if os.Getenv("CI") != "" {
		t.Fatal(problem)
	}
	t.Skip(problem)
	return nil
}

var open = sync.OnceValues(func() (compute.Backend, string) {
	if os.Getenv("XLA_FLAGS") == "" {
		// What LLVM's optimization gains these small programs it takes many times over to do.
		os.Setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
	}
	engine, err := backend.Open("cpu")
	switch {
	case err != nil:
		return nil, err.Error()
	case engine.Choice.Name != "xla:cpu":
		return nil, "no XLA on this machine (make setup installs it): " + engine.Choice.String()
	}
	return engine.Backend, ""
})
