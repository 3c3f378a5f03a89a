// Package allocation measures, for tests, whether reading a file allocates more
// than its size justifies: files of others may claim anything.
package allocation

import (
	"runtime"
	"testing"
)

// Within fails a test where f, which reads size bytes, allocates more than perByte
// bytes for each of them and fixed bytes besides, all allocations added up.
func Within(t testing.TB, size int, perByte, fixed int64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if spent, limit := int64(after.TotalAlloc-before.TotalAlloc), perByte*int64(size)+fixed; spent > limit {
		t.Errorf("reading %d bytes allocated %d, want at most %d", size, spent, limit)
	}
}
