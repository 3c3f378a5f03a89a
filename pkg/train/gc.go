package train

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"

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
	leastPercent  = 10
)

// collector sets how often Go's collector runs while the Go engine trains: what may
// pile up is a percentage of what is live, which is looked at after each collection.
// Whoever has set GOGC keeps that.
type collector struct {
	before int // percent, as it was found

	mu   sync.Mutex
	over bool // or nothing to do from the beginning
}

func startCollector(engine compute.Backend) *collector {
	if engine.Name() == "xla" || os.Getenv("GOGC") != "" {
		return &collector{over: true}
	}
	c := &collector{before: debug.SetGCPercent(gcPercent(liveBytes()))}
	c.afterCollection()
	return c
}

// afterCollection fits the percentage to what the next collection leaves, and so on.
func (c *collector) afterCollection() {
	runtime.AddCleanup(new([64]byte), func(c *collector) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.over {
			debug.SetGCPercent(gcPercent(liveBytes()))
			c.afterCollection()
		}
	}, c)
}

func (c *collector) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.over = true
		debug.SetGCPercent(c.before)
	}
}

// gcPercent is the percentage of live bytes that uncollectedMB is, if that is not too
// little. Go waits for 4 MB times the percentage, however little is live.
func gcPercent(live int64) int {
	return int(max(uncollectedMB*machine.MB*100/max(live, 4*machine.MB), leastPercent))
}

// liveBytes is what the last collection left in the heap.
func liveBytes() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
