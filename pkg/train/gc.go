package train

import (
	"os"
	"runtime/debug"
	"runtime/metrics"

	"github.com/gomlx/compute"

	"rekindle/pkg/machine"
)

// The Go engine keeps its arrays in Go's heap, where the collector by default
// lets as much garbage pile up as there is live memory. Most of what piles up
// are buffers that the engine would use again, so collecting more often costs
// nothing until the collector takes those away too. Garbage within uncollectedMB
// cost no time that could be measured; see docs/benchmarks.md.
const (
	uncollectedMB = 60
	mostPercent   = 25
	// leastPercent is also what training begins with, while the heap grows.
	leastPercent = 10
)

// collector sets how often Go's collector runs while the Go engine trains.
// Whoever has set GOGC keeps that.
type collector struct {
	before int // percent, as it was found
	steps  int
	idle   bool
}

func startCollector(engine compute.Backend) *collector {
	if engine.Name() == "xla" || os.Getenv("GOGC") != "" {
		return &collector{idle: true}
	}
	return &collector{before: debug.SetGCPercent(leastPercent)}
}

// stepDone fits the percentage to what is live once a few steps have filled the heap.
func (c *collector) stepDone() {
	const filled = 3
	if c.steps++; c.steps == filled && !c.idle {
		debug.SetGCPercent(gcPercent(liveBytes()))
	}
}

func (c *collector) stop() {
	if !c.idle {
		debug.SetGCPercent(c.before)
	}
}

// gcPercent is the percentage of live bytes that uncollectedMB is, within its bounds.
func gcPercent(live int64) int {
	return int(min(max(uncollectedMB*machine.MB*100/max(live, 1), leastPercent), mostPercent))
}

// liveBytes is what the last collection left in the heap.
func liveBytes() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
