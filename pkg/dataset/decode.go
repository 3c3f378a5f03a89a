package dataset

import (
	"fmt"
	"runtime"
	"sync"

	"rekindle/pkg/rgb"
)

// decode reads the pixels of all scenes. It is the one place that hands out
// pixels: samplers do not know whether they lie in memory or in a mapped file.
// c is where decoded pictures are kept, nil for memory.
func decode(scenes []scene, c *cache, warn func(string)) ([]pair, error) {
	pairs := make([]pair, len(scenes))
	var mu sync.Mutex
	var inMemory int // pictures that should have been mapped
	var why error
	err := parallel(2*len(scenes), func(i int) error {
		s, p := scenes[i/2], &pairs[i/2]
		path, into := s.clean, &p.clean
		if i%2 == 1 {
			if s.degraded == s.clean {
				return nil // one picture for both
			}
			path, into = s.degraded, &p.degraded
		}
		var im *rgb.Image
		var kept, err error
		if c == nil {
			im, err = rgb.Load(path)
		} else {
			im, kept, err = c.load(path)
		}
		if err != nil {
			return fmt.Errorf("dataset: %w", err)
		}
		if im.W != s.w || im.H != s.h {
			return fmt.Errorf("dataset: %s changed while it was read", path)
		}
		*into = im
		if kept != nil {
			mu.Lock()
			defer mu.Unlock()
			inMemory++
			why = kept
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if inMemory > 0 && warn != nil {
		warn(fmt.Sprintf("dataset: %d decoded pictures stay in memory instead of %s: %v", inMemory, c.dir, why))
	}
	for i, s := range scenes {
		pairs[i].stem = s.stem
		if s.degraded == s.clean {
			pairs[i].degraded = pairs[i].clean
		}
	}
	return pairs, nil
}

// cacheFor returns where a set of that many scenes is kept decoded.
func cacheFor(scenes []scene, warn func(string)) *cache {
	var size int64
	for _, s := range scenes {
		files := int64(2)
		if s.degraded == s.clean {
			files = 1
		}
		size += files * 3 * int64(s.w) * int64(s.h)
	}
	if size < cacheFrom {
		return nil
	}
	c, err := userCache()
	if err != nil && warn != nil {
		warn(fmt.Sprintf("dataset: decoded pictures stay in memory, there is no cache for them: %v", err))
	}
	return c
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
