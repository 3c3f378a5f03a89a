package dataset

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rekindle/pkg/durable"
	"rekindle/pkg/machine"
)

// Large sets are kept decoded in files, see [pack]: the system keeps in memory
// what is read often and drops it when memory is short, so that a set may be
// larger than memory, and the next process that opens it need not decode
// anything. The files lie in the user's cache folder and can be deleted at any
// time.
const (
	// cacheFrom is the decoded size from which on a set goes through files. Smaller ones decode in a second or two.
	cacheFrom = 256 << 20
	// cacheLimit is how much the files may take unless REKINDLE_CACHE_MB says otherwise: DIV2K decoded, clean and two
	// degradations, is 22 GB. Half of what is free on the disk is never exceeded.
	cacheLimit = 24 << 30
)

// fileID tells a file's content without reading it.
type fileID [16]byte

func idOf(path string) (id fileID, err error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return id, err
	}
	info, err := os.Stat(full)
	if err != nil {
		return id, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%d\x00%d", full, info.Size(), info.ModTime().UnixNano())
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		fmt.Fprintf(h, "\x00%d", sys.Ino)
	}
	copy(id[:], h.Sum(nil))
	return id, nil
}

// cache is a folder of decoded pictures. It is used by one goroutine.
type cache struct {
	dir   string
	limit int64 // bytes
	used  int64 // bytes in the folder
	packs []*cached
}

// cached is a pack of the folder; least recently used ones come first.
type cached struct {
	name  string
	size  int64
	time  time.Time
	list  []listed
	inUse *pack // by this process; nil: not
}

// userCache opens the cache of the user, nil if there is none. REKINDLE_CACHE_MB
// bounds it.
func userCache() (*cache, error) {
	dir, err := machine.CacheFolder("pixels")
	if err != nil || dir == "" {
		return nil, err
	}
	limit := int64(cacheLimit)
	if text := os.Getenv("REKINDLE_CACHE_MB"); text != "" {
		mb, err := strconv.ParseInt(text, 10, 32)
		if err != nil || mb < 0 {
			return nil, fmt.Errorf("REKINDLE_CACHE_MB is %q: must be a number of megabytes", text)
		}
		limit = mb << 20
	}
	return openCache(dir, limit)
}

func openCache(dir string, limit int64) (*cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := &cache{dir: dir, limit: limit}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // gone meanwhile
		}
		path := filepath.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), durable.TempPrefix) && time.Since(info.ModTime()) > time.Hour:
			os.Remove(path) // of a killed process
		case filepath.Ext(e.Name()) == packEnding:
			f, err := os.Open(path)
			if err != nil {
				continue
			}
			list, err := readPack(f)
			f.Close()
			if err != nil { // damaged, or of an earlier version
				os.Remove(path)
				continue
			}
			c.used += info.Size()
			c.packs = append(c.packs, &cached{name: e.Name(), size: info.Size(), time: info.ModTime(), list: list})
		}
	}
	slices.SortFunc(c.packs, func(a, b *cached) int { return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.name, b.name)) })
	if free, err := machine.FreeDisk(dir); err == nil {
		c.limit = min(c.limit, (free+c.used)/2)
	}
	return c, nil
}

// find lets photos whose pixels are in the cache read them there, and returns the
// others.
func (c *cache) find(photos []*photo) (missing []*photo) {
	type place struct {
		in *cached
		at listed
	}
	places := map[fileID]place{}
	for _, in := range c.packs {
		for _, l := range in.list {
			places[l.id] = place{in, l}
		}
	}
	for _, p := range photos {
		found, ok := places[p.id]
		if ok && found.at.w == p.w && found.at.h == p.h && c.use(found.in) {
			p.pack, p.offset = found.in.inUse, found.at.offset
			continue
		}
		missing = append(missing, p)
	}
	return missing
}

// use opens a pack and makes it the one used most recently.
func (c *cache) use(in *cached) bool {
	if in.inUse != nil {
		return true
	}
	path := filepath.Join(c.dir, in.name)
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	now := time.Now()
	os.Chtimes(path, now, now)
	in.inUse = &pack{file: f}
	return true
}

var errCacheFull = errors.New("the cache is full")

// plan divides photos into packs that are to be written and makes room for them,
// by removing what was not used for longest and is not in use. What there is no
// room for is returned, and why. The same photos give the same packs.
func (c *cache) plan(photos []*photo) (packs []*newPack, none []*photo, why error) {
	for len(photos) > 0 {
		n, size := 0, int64(len(packMagic)+8)
		for n < len(photos) && (n == 0 || size+photos[n].bytes() <= packSize) {
			size += photos[n].bytes() + int64(packEntry)
			n++
		}
		if err := c.makeRoom(size); err != nil {
			return packs, photos, err
		}
		h := sha256.New()
		for _, p := range photos[:n] {
			h.Write(p.id[:])
		}
		path := filepath.Join(c.dir, hex.EncodeToString(h.Sum(nil)[:16])+packEnding)
		packs = append(packs, &newPack{path: path, photos: photos[:n], left: n})
		photos = photos[n:]
	}
	return packs, nil, nil
}

// makeRoom reserves so many bytes.
func (c *cache) makeRoom(size int64) error {
	for i := 0; c.used+size > c.limit && i < len(c.packs); {
		k := c.packs[i]
		if k.inUse != nil {
			i++
			continue
		}
		if err := os.Remove(filepath.Join(c.dir, k.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		c.used -= k.size
		c.packs = slices.Delete(c.packs, i, i+1)
	}
	if c.used+size > c.limit {
		return errCacheFull
	}
	c.used += size
	return nil
}
