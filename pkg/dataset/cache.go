package dataset

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rekindle/pkg/durable"
	"rekindle/pkg/machine"
	"rekindle/pkg/rgb"
)

// Large sets are kept decoded in files which are mapped into memory: the system
// loads what is touched and drops it when memory is short, so that a set may be
// larger than memory, and the next process that opens it need not decode
// anything. The files lie in the user's cache folder and can be deleted at any
// time.
const (
	// cacheFrom is the decoded size from which on a set goes through files. Smaller ones decode in a second or two.
	cacheFrom = 256 << 20
	// cacheLimit is how much the files may take unless REKINDLE_CACHE_MB says otherwise: DIV2K decoded, clean and two
	// degradations, is 22 GB. Half of what is free on the disk is never exceeded.
	cacheLimit = 24 << 30

	cacheMagic  = "rekindle pixels 1\n"
	cacheHeader = len(cacheMagic) + 8 // then width and height, 32 bits each, then Pix
	cacheEnding = ".pixels"
)

// cache is a folder of decoded pictures.
type cache struct {
	dir   string
	limit int64 // bytes

	mu    sync.Mutex
	used  int64           // bytes in the folder
	files []cacheFile     // that may be evicted, least recently used first
	keep  map[string]bool // files that this process uses
}

type cacheFile struct {
	name string
	size int64
	time time.Time
}

// mapped holds every mapping of this process. Mappings stay until the process
// ends, so that no picture can be pulled away from under its users, and opening
// a set twice maps it once.
var mapped struct {
	sync.Mutex
	pictures map[string]*rgb.Image // by path of the cache file
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
	c := &cache{dir: dir, limit: limit, keep: map[string]bool{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // gone meanwhile
		}
		if strings.HasPrefix(e.Name(), durable.TempPrefix) && time.Since(info.ModTime()) > time.Hour {
			os.Remove(filepath.Join(dir, e.Name())) // of a killed process
			continue
		}
		if filepath.Ext(e.Name()) == cacheEnding {
			c.used += info.Size()
			c.files = append(c.files, cacheFile{e.Name(), info.Size(), info.ModTime()})
		}
	}
	slices.SortFunc(c.files, func(a, b cacheFile) int { return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.name, b.name)) })
	if free, err := machine.FreeDisk(dir); err == nil {
		c.limit = min(c.limit, (free+c.used)/2)
	}
	return c, nil
}

// load returns the picture of a file, mapped if possible and else in memory.
// kept is why it could not be mapped.
func (c *cache) load(path string) (im *rgb.Image, kept, err error) {
	name, err := cacheName(path)
	if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	c.keep[name] = true
	c.mu.Unlock()
	file := filepath.Join(c.dir, name)
	if im, err := mapPicture(file); err == nil {
		now := time.Now()
		os.Chtimes(file, now, now) // most recently used
		return im, nil, nil
	}
	im, err = rgb.Load(path)
	if err != nil {
		return nil, nil, err
	}
	if kept := c.add(name, im); kept != nil {
		return im, kept, nil
	}
	fromFile, kept := mapPicture(file)
	if kept != nil {
		return im, kept, nil
	}
	return fromFile, nil, nil
}

// cacheName identifies a file's content without reading it.
func cacheName(path string) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(full)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%d\x00%d", full, info.Size(), info.ModTime().UnixNano())
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		fmt.Fprintf(h, "\x00%d", sys.Ino)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]) + cacheEnding, nil
}

// add writes a picture to the folder, after making room for it.
func (c *cache) add(name string, im *rgb.Image) error {
	size := int64(cacheHeader + len(im.Pix))
	if err := c.reserve(size); err != nil {
		return err
	}
	err := writePicture(filepath.Join(c.dir, name), im)
	if err != nil {
		c.mu.Lock()
		c.used -= size
		c.mu.Unlock()
	}
	return err
}

var errCacheFull = errors.New("the cache is full")

func (c *cache) reserve(size int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := 0; c.used+size > c.limit && i < len(c.files); {
		f := c.files[i]
		if c.keep[f.name] {
			i++
			continue
		}
		if err := os.Remove(filepath.Join(c.dir, f.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		c.used -= f.size
		c.files = slices.Delete(c.files, i, i+1)
	}
	if c.used+size > c.limit {
		return errCacheFull
	}
	c.used += size
	return nil
}

func writePicture(path string, im *rgb.Image) error {
	f, err := durable.Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	head := binary.LittleEndian.AppendUint32([]byte(cacheMagic), uint32(im.W))
	head = binary.LittleEndian.AppendUint32(head, uint32(im.H))
	if _, err := f.Write(head); err != nil {
		return err
	}
	if _, err := f.Write(im.Pix); err != nil {
		return err
	}
	return f.Commit()
}

// mapPicture maps a cache file. Its pixels can be read, not written.
func mapPicture(path string) (*rgb.Image, error) {
	mapped.Lock()
	defer mapped.Unlock()
	if im, ok := mapped.pictures[path]; ok {
		return im, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	head := make([]byte, cacheHeader)
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, err
	}
	w := int(binary.LittleEndian.Uint32(head[len(cacheMagic):]))
	h := int(binary.LittleEndian.Uint32(head[len(cacheMagic)+4:]))
	if string(head[:len(cacheMagic)]) != cacheMagic || info.Size() != int64(cacheHeader)+3*int64(w)*int64(h) {
		return nil, fmt.Errorf("%s is not a decoded picture", path)
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	im := &rgb.Image{W: w, H: h, Pix: data[cacheHeader:]}
	if mapped.pictures == nil {
		mapped.pictures = map[string]*rgb.Image{}
	}
	mapped.pictures[path] = im
	return im, nil
}
