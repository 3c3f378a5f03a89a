package train

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"strconv"
	"time"

	"rekindle/pkg/backend"
	"rekindle/pkg/machine"
)

// memory watches what the process holds. On the CPU an allocation that fails
// kills a Go program, and the kernel's OOM killer asks nobody, so a limit below
// what the machine has must speak first: MemoryLimitMB.
type memory struct {
	limit int64 // bytes; 0 for none
	base  int64 // held before the first step
	peak  int64 // held at most since
	epoch int64 // held at most since the last epoch's end

	onGPU   bool
	devices int // over which a batch is divided; 0: it is not

	idle  chan struct{} // closed when what [within] ran last has ended
	found int64         // Go's own limit before ours; 0: left as it was
}

// settle waits until a computation that was given up has ended; it is false
// when ctx ended first. Another one beside it would need still more memory.
func (m *memory) settle(ctx context.Context) bool {
	if m.idle == nil {
		return true
	}
	select {
	case <-m.idle:
		return true
	case <-ctx.Done():
		return false
	}
}

// giveBack returns to the system what is not in use. What pools hold goes with
// the second collection.
func giveBack() {
	debug.FreeOSMemory()
	debug.FreeOSMemory()
}

// watchEvery is short enough that little is allocated between two looks: a step
// on the Go engine fills about 2 GB in a second.
const watchEvery = 20 * time.Millisecond

func newMemory(limitMB int, onGPU bool) *memory {
	m := &memory{limit: int64(limitMB) * machine.MB, onGPU: onGPU}
	if m.limit > 0 {
		// Garbage must not be what goes over the limit.
		m.found = debug.SetMemoryLimit(m.limit * 9 / 10)
	}
	giveBack() // what an earlier run in this process left counts as held otherwise
	m.base, _ = machine.ProcessMemory()
	return m
}

// end leaves the process as it was found: without our limit, and, unless ctx
// ends first, without a computation that goes on.
func (m *memory) end(ctx context.Context) {
	if m.found > 0 {
		debug.SetMemoryLimit(m.found)
	}
	m.settle(ctx)
}

// ofEpoch is what the process holds now and held at most in the epoch that ends,
// in bytes: on the GPU when it computes there, where memory that a step has used
// stays the process's own, so that both are the same.
func (m *memory) ofEpoch() (now, peak int64) {
	if m.onGPU {
		if now = machine.ProcessGPUMemory(); now > 0 {
			return now, now
		}
	}
	now, _ = machine.ProcessMemory()
	peak, m.epoch = max(now, m.epoch), 0
	return now, peak
}

// free is how much a computation may still take on a device, in bytes; 0: unknown.
func (m *memory) free() int64 {
	if !m.onGPU {
		return machine.MainMemory().Available
	}
	return backend.FreeOnGPU(max(1, m.devices))
}

// look records what is held now, and reports when it is too much.
func (m *memory) look() error {
	now, _ := machine.ProcessMemory()
	m.peak, m.epoch = max(m.peak, now), max(m.epoch, now)
	if m.limit > 0 && now > m.limit {
		return fmt.Errorf("out of memory: the process holds %d MB, MemoryLimitMB is %d", now/machine.MB, m.limit/machine.MB)
	}
	return nil
}

var allocation = regexp.MustCompile(`allocat\w* (\d+) bytes`)

// advice says in numbers what happened when batch samples were computed at
// once, and which smaller number should fit; 0 if there is none.
func (m *memory) advice(cause error, batch int) (text string, smaller int) {
	smaller = batch / 2
	for err := cause; err != nil; err = errors.Unwrap(err) {
		if found := allocation.FindStringSubmatch(err.Error()); found != nil {
			bytes, _ := strconv.ParseFloat(found[1], 64)
			return fmt.Sprintf("%d samples at once asked for %.1f MB that were not there", batch, bytes/machine.MB), smaller
		}
	}
	if m.limit == 0 || !backend.IsOutOfMemory(cause) {
		return "", smaller
	}
	if m.base >= m.limit {
		return fmt.Sprintf("%d MB were held before the first batch, MemoryLimitMB is %d: nothing fits below it", m.base/machine.MB, m.limit/machine.MB), 0
	}
	perSample := max(m.peak-m.base, 1) / int64(batch)
	smaller = min(smaller, int((m.limit-m.base)/max(perSample, 1)))
	text = fmt.Sprintf("%d samples at once held %d MB when they were stopped, the limit is %d MB", batch, m.peak/machine.MB, m.limit/machine.MB)
	if smaller > 0 {
		text += fmt.Sprintf("; %d should fit", smaller)
	}
	return text, smaller
}

// remedy is what to change so that a run that could compute fewer samples at
// once goes on; 0 if not even one fits.
func (m *memory) remedy(smaller int) string {
	switch {
	case smaller > 0:
		return fmt.Sprintf("cfg.BatchSize = %d", smaller)
	case m.limit > 0:
		return "a larger cfg.MemoryLimitMB or a smaller cfg.PatchSize"
	}
	return "a smaller cfg.PatchSize"
}
