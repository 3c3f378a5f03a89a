package backend

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
// costs no time that can be measured in training, and a sixth of the time of
// restoring, where less is used again; see docs/benchmarks.md.
const (
	uncollectedMB = 60
	leastPercent  = 10
)

// LimitGarbage sets how often Go's collector runs while the Go engine computes: what
// may pile up is a percentage of what is live, which is looked at after each
// collection. After stop, which may be called more than once, everything is as
// before, once nobody else limits it either. With XLA, whose arrays lie elsewhere,
// and where GOGC of the environment says something, nothing changes.
func LimitGarbage(engine compute.Backend) (stop func()) {
	if engine.Name() == "xla" || os.Getenv("GOGC") != "" {
		return func() {}
	}
	garbage.Lock()
	defer garbage.Unlock()
	if garbage.limits++; garbage.limits == 1 {
		garbage.before = debug.SetGCPercent(gcPercent(liveBytes()))
		fitAfterCollection()
	}
	return sync.OnceFunc(func() {
		garbage.Lock()
		defer garbage.Unlock()
		if garbage.limits--; garbage.limits == 0 {
			debug.SetGCPercent(garbage.before)
		}
	})
}

// garbage is one for the process, as the collector is.
var garbage struct {
	sync.Mutex
	limits  int  // how many are in force
	before  int  // the percentage without them
	waiting bool // for the next collection
}

// fitAfterCollection fits the percentage to what the next collection leaves, and so on.
func fitAfterCollection() {
	if garbage.waiting {
		return
	}
	garbage.waiting = true
	runtime.AddCleanup(new([64]byte), func(struct{}) {
		garbage.Lock()
		defer garbage.Unlock()
		garbage.waiting = false
		if garbage.limits > 0 {
			debug.SetGCPercent(gcPercent(liveBytes()))
			fitAfterCollection()
		}
	}, struct{}{})
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
