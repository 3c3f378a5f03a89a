// Package gogc tells tests how often Go's collector runs.
package gogc

import (
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

// Set sets the percentage of garbage that the collector waits for until the test
// ends, and takes GOGC out of the environment; now tells what it is.
func Set(t testing.TB, percent int) (now func() int) {
	t.Helper()
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(percent)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	return func() int {
		sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(sample)
		return int(sample[0].Value.Uint64())
	}
}
