package dataset

import (
	"fmt"
	"runtime"
	"sync"

	"rekindle/pkg/rgb"
)

// decode reads the pixels of all scenes. It is the one place that hands out
// pixels: whatever [rgb.Image] it returns, in memory or mapped from a file, is
// what samplers read.
func decode(scenes []scene) ([]pair, error) {
	pairs := make([]pair, len(scenes))
	err := parallel(2*len(scenes), func(i int) error {
		s, p := scenes[i/2], &pairs[i/2]
		path, into := s.clean, &p.clean
		if i%2 == 1 {
			path, into = s.degraded, &p.degraded
		}
		im, err := rgb.Load(path)
		if err != nil {
			return fmt.Errorf("dataset: %w", err)
		}
		*into = im
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, s := range scenes {
		pairs[i].stem = s.stem
	}
	return pairs, nil
}

// parallel calls do for 0..n-1 on all cores. After an error no new calls begin;
// the error of the smallest index is returned, so that what is reported does
// not depend on the order of work.
func parallel(n int, do func(i int) error) error {
	var mu sync.Mutex
	next, failed := 0, n
	var first error
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := i >= failed
				mu.Unlock()
				if stop {
					return
				}
				if err := do(i); err != nil {
					mu.Lock()
					if i < failed {
						failed, first = i, err
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return first
}
