package machine

import (
	"sync"
	"time"
)

const (
	heartbeat = time.Second
	stopped   = 5 * time.Second // without a heartbeat: even a busy machine runs who waits for it before
)

var standstill struct {
	sync.Mutex
	beat time.Time
	sum  time.Duration
}

// Standstill is how long this process was stopped altogether since it was first asked:
// by Ctrl+Z, by a container that was paused. The clock goes on meanwhile, and what is
// measured with it is no measure of the work.
func Standstill() time.Duration {
	s := &standstill
	s.Lock()
	defer s.Unlock()
	now := time.Now()
	if s.beat.IsZero() {
		go func() {
			for ; ; time.Sleep(heartbeat) {
				Standstill()
			}
		}()
	} else if gap := now.Sub(s.beat); gap > stopped {
		s.sum += gap - heartbeat
	}
	s.beat = now
	return s.sum
}
