package dataset

import (
	"fmt"
	"math"
	"runtime"
	"sync"

	"rekindle/pkg/machine"
)

// Room returns how much of main memory decoded pictures may take, in bytes: half
// of what is free, and half of what limitMB, the configuration's MemoryLimitMB (0:
// none), leaves beside what the process holds already.
func Room(limitMB int) int64 {
	held, _ := machine.ProcessMemory()
	return room(machine.MainMemory(), held, limitMB)
}

func room(memory machine.Memory, held int64, limitMB int) int64 {
	room := int64(math.MaxInt64)
	if memory.Available > 0 { // else it is not known
		room = memory.Available / 2
	}
	if limitMB > 0 {
		room = min(room, max(0, int64(limitMB)*machine.MB-held)/2)
	}
	return room
}

// Load decodes all pictures once, so that patches come quickly. Before it begins
// it decides where they will be: sets that take more than 256 MB or more than room
// bytes (see [Room]) lie in the cache, as far as that has space; what is left, in
// memory, as far as there is room; the rest is decoded again whenever a patch is
// cut from it, and warn is told so. A picture that cannot be decoded is an error.
func (s *Set) Load(room int64, warn func(string)) error {
	if s.small(room) {
		return s.load(nil, room, warn)
	}
	c, err := userCache()
	if err != nil && warn != nil {
		warn(fmt.Sprintf("dataset: there is no cache for decoded pictures: %v", err))
	}
	return s.load(c, room, warn)
}

// small says whether a set is kept in memory, all of it.
func (s *Set) small(room int64) bool { return sizeOf(s.photos()) < min(cacheFrom, room) }

// photos lists the pictures of a set, each once.
func (s *Set) photos() (list []*photo) {
	for _, p := range s.pairs {
		list = append(list, p.clean)
		if p.degraded != p.clean {
			list = append(list, p.degraded)
		}
	}
	return list
}

func sizeOf(photos []*photo) (bytes int64) {
	for _, p := range photos {
		bytes += p.bytes()
	}
	return bytes
}

func (s *Set) load(c *cache, room int64, warn func(string)) error {
	var decoded []*photo // those that must be
	for _, p := range s.photos() {
		if p.im == nil && p.pack == nil {
			decoded = append(decoded, p)
		}
	}
	outside, packOf := decoded, map[*photo]*newPack{}
	var packs []*newPack
	var why error // not all are in the cache
	if c != nil {
		decoded = c.find(decoded)
		packs, outside, why = c.plan(decoded)
		for _, k := range packs {
			for _, p := range k.photos {
				packOf[p] = k
			}
		}
	}
	inMemory := divide(outside, &room)
	s.warnOf(c, outside, inMemory, why, warn)
	err := parallel(len(decoded), func(i int) error {
		p := decoded[i]
		im, err := p.decode()
		if err != nil {
			return err
		}
		if k := packOf[p]; k != nil {
			k.put(p, im)
		} else if inMemory[p] {
			p.im = im
		}
		return nil
	})
	outside = nil
	for _, k := range packs {
		switch {
		case err != nil:
			k.abort()
		case k.err != nil:
			outside, why = append(outside, k.photos...), k.err
		default:
			for _, p := range k.photos {
				p.pack = &k.done
			}
		}
	}
	if err != nil || len(outside) == 0 {
		return err
	}
	inMemory = divide(outside, &room)
	s.warnOf(c, outside, inMemory, why, warn)
	return parallel(len(outside), func(i int) (err error) {
		if p := outside[i]; inMemory[p] {
			p.im, err = p.decode()
		}
		return err
	})
}

// divide takes from room what photos need, as far as it goes, and returns those
// that have some.
func divide(photos []*photo, room *int64) map[*photo]bool {
	have := map[*photo]bool{}
	for _, p := range photos {
		if p.bytes() <= *room {
			*room -= p.bytes()
			have[p] = true
		}
	}
	return have
}

// warnOf says what pictures that should be in the cache cost outside of it.
func (s *Set) warnOf(c *cache, outside []*photo, inMemory map[*photo]bool, why error, warn func(string)) {
	if warn == nil || len(outside) == 0 || why == nil && len(inMemory) == len(outside) {
		return
	}
	all := sizeOf(s.photos())
	reason := "there is no cache on the disk"
	if c != nil {
		reason = fmt.Sprintf("%s has room for %d MB of %d MB (%v)", c.dir, (all-sizeOf(outside))>>20, all>>20, why)
	}
	memory := []*photo{}
	for p := range inMemory {
		memory = append(memory, p)
	}
	text := fmt.Sprintf("dataset: %s: %d decoded pictures stay in memory, %d MB", reason, len(memory), sizeOf(memory)>>20)
	if slow := len(outside) - len(memory); slow > 0 {
		text += fmt.Sprintf("; for %d more there is no room there, so each is decoded again for every patch, which is slow: "+
			"let REKINDLE_CACHE_MB be %d (and the disk have twice as much free), or use smaller pictures", slow, all>>20+1)
	}
	warn(text)
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
