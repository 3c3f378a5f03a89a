package train

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
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

	idle chan struct{} // closed when what [within] ran last has ended
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

func newMemory(limitMB int) *memory {
	m := &memory{limit: int64(limitMB) * machine.MB}
	if m.limit > 0 {
		// Garbage must not be what goes over the limit.
		debug.SetMemoryLimit(m.limit * 9 / 10)
	}
	runtime.GC()
	m.base, _ = machine.ProcessMemory()
	return m
}

// look records what is held now, and reports when it is too much.
func (m *memory) look() error {
	now, _ := machine.ProcessMemory()
	m.peak = max(m.peak, now)
	if m.limit > 0 && now > m.limit {
		return fmt.Errorf("out of memory: the process holds %d MB, MemoryLimitMB is %d", now/machine.MB, m.limit/machine.MB)
	}
	return nil
}

var allocation = regexp.MustCompile(`allocat\w* (\d+) bytes`)

// advice says in numbers what happened and which batch size should fit.
func (m *memory) advice(cause error, batch int) (text string, smaller int) {
	smaller = max(1, batch/2)
	for err := cause; err != nil; err = errors.Unwrap(err) {
		if found := allocation.FindStringSubmatch(err.Error()); found != nil {
			bytes, _ := strconv.ParseInt(found[1], 10, 64)
			return fmt.Sprintf("BatchSize %d needed %d MB more than there were", batch, bytes/machine.MB), smaller
		}
	}
	if m.limit == 0 || m.peak <= m.base || !backend.IsOutOfMemory(cause) {
		return "", smaller
	}
	perSample := (m.peak - m.base) / int64(batch)
	if fits := int((m.limit - m.base) / max(perSample, 1)); fits >= 1 {
		smaller = min(smaller, fits)
	}
	return fmt.Sprintf("BatchSize %d held %d MB when it was stopped, the limit is %d MB; BatchSize %d should fit", batch, m.peak/machine.MB, m.limit/machine.MB, smaller), smaller
}
