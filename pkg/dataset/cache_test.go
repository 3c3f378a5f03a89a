package dataset

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/machine"
)

func newCache(t *testing.T, dir string, limit int64) *cache {
	t.Helper()
	c, err := openCache(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// looked finds n pairs of 16 by 16 pixels.
func looked(t *testing.T, n int) *Set {
	t.Helper()
	degraded, clean := folders(t, n, 16, 16)
	return again(t, degraded, clean)
}

func again(t *testing.T, degraded, clean string) *Set {
	t.Helper()
	set, err := Look(degraded, clean, 16, nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// as finds the pairs of another set once more, as the next process would.
func (s *Set) as(t *testing.T) *Set {
	t.Helper()
	return again(t, filepath.Dir(s.scenes[0].degraded), filepath.Dir(s.scenes[0].clean))
}

func mustLoad(t *testing.T, s *Set, c *cache, room int64) (warnings []string) {
	t.Helper()
	if err := s.load(c, room, func(w string) { warnings = append(warnings, w) }); err != nil {
		t.Fatal(err)
	}
	return warnings
}

// packOf is the size of a pack of n pictures of 16 by 16 pixels.
func packOf(n int) int64 { return int64(len(packMagic)+8) + int64(n)*(int64(packEntry)+3*16*16) }

func smallPacks(t *testing.T, pictures int) {
	was := packSize
	packSize = packOf(pictures)
	t.Cleanup(func() { packSize = was })
}

func cacheFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// where counts the pictures of a set by where their pixels are.
func where(s *Set) (memory, packed, nowhere int) {
	for _, p := range s.photos() {
		switch {
		case p.im != nil:
			memory++
		case p.pack != nil:
			packed++
		default:
			nowhere++
		}
	}
	return memory, packed, nowhere
}

// assertPixels compares whole pictures, and parts of them, with what they should be.
func assertPixels(t *testing.T, s *Set) {
	t.Helper()
	for i, p := range s.pairs {
		_, degraded, clean, err := s.Pair(i)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(clean.Pix, marked(16, 16, uint8(2*i)).Pix) || !slices.Equal(degraded.Pix, marked(16, 16, uint8(2*i+1)).Pix) {
			t.Errorf("pair %d holds other pixels than its files", i)
		}
		part, x, y, err := p.clean.part(3, 5, 7, 4)
		if err != nil {
			t.Fatal(err)
		}
		if got := part.Crop(x, y, 7, 4); !slices.Equal(got.Pix, marked(16, 16, uint8(2*i)).Crop(3, 5, 7, 4).Pix) {
			t.Errorf("a part of pair %d holds other pixels than its file", i)
		}
	}
}

func TestPackedPicturesAreTheDecodedOnes(t *testing.T) {
	smallPacks(t, 4)
	dir, set := t.TempDir(), looked(t, 5)
	for range 2 { // written, then found
		set = set.as(t)
		if w := mustLoad(t, set, newCache(t, dir, 1<<30), 0); w != nil {
			t.Error(w)
		}
		if _, packed, _ := where(set); packed != 10 {
			t.Errorf("%d of 10 pictures are in the cache", packed)
		}
		assertPixels(t, set)
	}
	if n := len(cacheFiles(t, dir)); n != 3 {
		t.Errorf("the cache holds %d files, want 3 of four pictures", n)
	}
}

func TestACachedPictureIsNotDecodedAgain(t *testing.T) {
	dir, set := t.TempDir(), looked(t, 1)
	mustLoad(t, set, newCache(t, dir, 1<<30), 0)
	// Same name, size, time and inode, but nothing that could be decoded.
	clean := set.scenes[0].clean
	info, _ := os.Stat(clean)
	if err := os.WriteFile(clean, make([]byte, info.Size()), 0o666); err != nil {
		t.Fatal(err)
	}
	os.Chtimes(clean, info.ModTime(), info.ModTime())
	set.pairs[0].clean.pack, set.pairs[0].degraded.pack = nil, nil
	mustLoad(t, set, newCache(t, dir, 1<<30), 0)
	assertPixels(t, set)
}

func TestOnlyAddedAndChangedPicturesAreDecoded(t *testing.T) {
	dir, set := t.TempDir(), looked(t, 2)
	mustLoad(t, set, newCache(t, dir, 1<<30), 0)
	before := cacheFiles(t, dir)
	save(t, marked(16, 16, 99), set.scenes[0].clean)
	set = set.as(t)
	mustLoad(t, set, newCache(t, dir, 1<<30), 0)
	_, _, clean, err := set.Pair(0)
	if err != nil || !slices.Equal(clean.Pix, marked(16, 16, 99).Pix) {
		t.Errorf("the old pixels were handed out (%v)", err)
	}
	for _, name := range cacheFiles(t, dir) {
		info, _ := os.Stat(filepath.Join(dir, name))
		if !slices.Contains(before, name) && info.Size() != packOf(1) {
			t.Errorf("the new pack has %d bytes, want one picture, %d", info.Size(), packOf(1))
		}
	}
}

func TestADamagedCacheFileIsMadeAnew(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"cut short":         func(path string) error { return os.Truncate(path, packOf(2)-1) },
		"in its head":       func(path string) error { return os.Truncate(path, 30) },
		"empty":             func(path string) error { return os.Truncate(path, 0) },
		"other magic":       func(path string) error { return os.WriteFile(path, make([]byte, packOf(2)), 0o666) },
		"of before":         func(path string) error { return os.WriteFile(path, []byte("rekindle pixels 1\n"), 0o666) },
		"many pictures":     func(path string) error { return overwrite(path, int64(len(packMagic)), 0xFF, 0xFF, 0xFF, 0xFF) },
		"a flipped bit":     func(path string) error { return overwrite(path, int64(len(packMagic)+4), 0xAB) },
		"another's picture": func(path string) error { return overwrite(path, int64(len(packMagic)+4+16), 17) },
	} {
		dir, set := t.TempDir(), looked(t, 1)
		mustLoad(t, set, newCache(t, dir, 1<<30), 0)
		for _, file := range cacheFiles(t, dir) {
			if err := damage(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
		}
		set = set.as(t)
		if w := mustLoad(t, set, newCache(t, dir, 1<<30), 0); w != nil {
			t.Errorf("%s: %v", name, w)
		}
		assertPixels(t, set)
	}
}

func overwrite(path string, at int64, bytes ...byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(bytes, at)
	return err
}

func TestTheLeastRecentlyUsedPicturesMakeRoom(t *testing.T) {
	dir, old, recent, added := t.TempDir(), looked(t, 1), looked(t, 1), looked(t, 1)
	for _, s := range []*Set{old, recent} {
		mustLoad(t, s, newCache(t, dir, 1<<30), 0)
	}
	long := time.Now().Add(-time.Hour)
	for _, name := range cacheFiles(t, dir) {
		os.Chtimes(filepath.Join(dir, name), long, long)
	}
	mustLoad(t, recent.as(t), newCache(t, dir, 1<<30), 0) // a use
	if w := mustLoad(t, added, newCache(t, dir, 2*packOf(2)), 0); w != nil {
		t.Error(w)
	}
	for name, s := range map[string]*Set{"the recently used": recent, "the new": added} {
		if missing := newCache(t, dir, 0).find(s.as(t).photos()); len(missing) > 0 {
			t.Errorf("%s one was removed", name)
		}
	}
	if n := len(cacheFiles(t, dir)); n != 2 {
		t.Errorf("the cache holds %d files, want 2", n)
	}
	assertPixels(t, old) // what was opened stays readable
}

// What does not fit into the cache is in memory as far as there is room, and
// decoded again for each patch beyond; a warning says so before.
func TestASetBeyondTheLimitTakesNoMoreMemoryThanThereIs(t *testing.T) {
	smallPacks(t, 1)
	const picture = 3 * 16 * 16
	for _, c := range []struct {
		name                    string
		limit, room             int64
		memory, packed, nowhere int
		warned                  string
	}{
		{"all in the cache", 8 * packOf(1), 0, 0, 8, 0, ""},
		{"three in the cache", 3*packOf(1) + 7, 1 << 30, 5, 3, 0, "5 decoded pictures stay in memory, 0 MB"},
		{"some nowhere", 3 * packOf(1), 2*picture + 1, 2, 3, 3, "for 3 more there is no room there"},
		{"no memory at all", 0, 0, 0, 0, 8, "for 8 more there is no room"},
	} {
		dir, set := t.TempDir(), looked(t, 4)
		warnings := mustLoad(t, set, newCache(t, dir, c.limit), c.room)
		if memory, packed, nowhere := where(set); memory != c.memory || packed != c.packed || nowhere != c.nowhere {
			t.Errorf("%s: %d in memory, %d in the cache, %d nowhere; want %d, %d, %d", c.name, memory, packed, nowhere, c.memory, c.packed, c.nowhere)
		}
		if c.warned == "" && len(warnings) > 0 || c.warned != "" && (len(warnings) != 1 || !strings.Contains(warnings[0], c.warned)) {
			t.Errorf("%s: warnings are %q, want one with %q", c.name, warnings, c.warned)
		}
		assertPixels(t, set)
	}
	set, warned := looked(t, 4), false
	err := set.load(nil, 3*picture, func(string) {
		warned = true
		if memory, _, _ := where(set); memory > 0 {
			t.Error("pictures were decoded before the warning")
		}
	})
	if memory, _, nowhere := where(set); err != nil || !warned || memory != 3 || nowhere != 5 {
		t.Errorf("without a cache: %v; %d in memory, %d nowhere", err, memory, nowhere)
	}
}

func TestRoomIsHalfOfWhatIsFreeAndOfWhatTheLimitLeaves(t *testing.T) {
	for _, c := range []struct {
		memory  machine.Memory
		held    int64
		limitMB int
		want    int64
	}{
		{machine.Memory{Total: 100, Available: 60}, 10, 0, 30},
		{machine.Memory{}, 10, 0, math.MaxInt64}, // not known
		{machine.Memory{Total: 100 * machine.MB, Available: 90 * machine.MB}, 20 * machine.MB, 60, 20 * machine.MB},
		{machine.Memory{}, 70 * machine.MB, 60, 0},
		{machine.Memory{Total: 100, Available: 1}, 0, 0, 0},
		{machine.Memory{Total: 100}, 0, 0, math.MaxInt64}, // what is free is not known
	} {
		if got := room(c.memory, c.held, c.limitMB); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// The kernel allows a process 65,530 mappings and 1024 open files or so.
func TestManySmallPicturesTakeFewFiles(t *testing.T) {
	const n = 2000
	dir := t.TempDir()
	degraded, clean := filepath.Join(dir, "degraded"), filepath.Join(dir, "clean")
	save(t, marked(16, 16, 1), dir, "one.png")
	for _, to := range []string{degraded, clean} {
		if err := os.Mkdir(to, 0o777); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if err := os.Link(filepath.Join(dir, "one.png"), filepath.Join(to, fmt.Sprintf("%05d.png", i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	cache := filepath.Join(dir, "cache")
	count := func() (open, mappings int) {
		fds, _ := os.ReadDir("/proc/self/fd")
		maps, _ := os.ReadFile("/proc/self/maps")
		return len(fds), strings.Count(string(maps), "\n")
	}
	open, mappings := count()
	set := again(t, degraded, clean)
	mustLoad(t, set, newCache(t, cache, 1<<30), 0)
	if o, m := count(); o > open+20 || m > mappings+100 {
		t.Errorf("%d pictures took %d open files and %d mappings", 2*n, o-open, m-mappings)
	}
	if _, packed, _ := where(set); packed != 2*n {
		t.Errorf("%d of %d pictures are in the cache", packed, 2*n)
	}
	if files := cacheFiles(t, cache); len(files) != 1 {
		t.Errorf("they are in %d files, want 1", len(files))
	}
	runtime.KeepAlive(set)
}

func TestTheCacheMayBeDeletedWhileItIsUsed(t *testing.T) {
	dir, set := t.TempDir(), looked(t, 2)
	mustLoad(t, set, newCache(t, dir, 1<<30), 0)
	for _, file := range cacheFiles(t, dir) {
		os.Remove(filepath.Join(dir, file))
	}
	assertPixels(t, set)
	if _, packed, _ := where(set); packed != 4 {
		t.Errorf("%d of 4 pictures are read from the cache", packed)
	}
}

// A mapping would end the process with SIGBUS here.
func TestACacheFileThatIsCutShortInUseIsAnErrorAtMost(t *testing.T) {
	dir, set := t.TempDir(), looked(t, 1)
	mustLoad(t, set, newCache(t, dir, 1<<30), 0)
	for _, file := range cacheFiles(t, dir) {
		if err := os.Truncate(filepath.Join(dir, file), 100); err != nil {
			t.Fatal(err)
		}
	}
	assertPixels(t, set) // the pictures themselves are there
	if err := os.Remove(set.scenes[0].clean); err != nil {
		t.Fatal(err)
	}
	loader := set.Train(8, 1, 1).Batches(context.Background(), 0, 0, 1, 2)
	defer loader.Close()
	_, err := loader.Next()
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "was cut short") {
		t.Errorf("got %v, want that the picture is gone and its copy cut short", err)
	}
}

func TestAPictureThatChangesInUseIsAnError(t *testing.T) {
	set := looked(t, 1)
	mustLoad(t, set, nil, 0)
	save(t, marked(16, 16, 77), set.scenes[0].clean)
	if _, _, _, err := set.Pair(0); err == nil || !strings.Contains(err.Error(), "has changed") {
		t.Errorf("got %v, want that it has changed", err)
	}
}

func TestAnUnusableCacheMeansMemory(t *testing.T) {
	dir, set := t.TempDir(), looked(t, 2)
	c := newCache(t, dir, 1<<30)
	c.dir = filepath.Join(dir, "gone")
	if warnings := mustLoad(t, set, c, 1<<30); len(warnings) != 1 || !strings.Contains(warnings[0], "no such file") {
		t.Errorf("warnings are %q, want one with the reason", warnings)
	}
	if memory, _, _ := where(set); memory != 4 {
		t.Errorf("%d of 4 pictures are in memory", memory)
	}
	assertPixels(t, set)
}

func TestADamagedPictureLeavesNothingUnfinished(t *testing.T) {
	dir, set := t.TempDir(), looked(t, 3)
	raw, _ := os.ReadFile(set.scenes[1].clean)
	if err := os.WriteFile(set.scenes[1].clean, raw[:len(raw)-20], 0o666); err != nil {
		t.Fatal(err)
	}
	set = set.as(t)
	if err := set.load(newCache(t, dir, 1<<30), 0, nil); err == nil || !strings.Contains(err.Error(), "p001.png") {
		t.Errorf("got %v, want one that names the file", err)
	}
	if files := cacheFiles(t, dir); len(files) > 0 {
		t.Errorf("%v is left", files)
	}
}

// Looking at one picture of many decodes that one.
func TestLookingDecodesNothing(t *testing.T) {
	set := looked(t, 3)
	raw, _ := os.ReadFile(set.scenes[1].clean)
	if err := os.WriteFile(set.scenes[1].clean, raw[:len(raw)-20], 0o666); err != nil {
		t.Fatal(err)
	}
	set = set.as(t)
	if _, _, _, err := set.Pair(0); err != nil {
		t.Error(err)
	}
	if _, _, _, err := set.Pair(1); err == nil || !strings.Contains(err.Error(), "p001.png") {
		t.Errorf("the damaged one gives %v", err)
	}
}

func TestOnlyLargeSetsAreCached(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	t.Setenv("REKINDLE_CACHE_DIR", dir)
	set := openSet(t, 3, 20, 20, 8)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("a small set made a cache folder")
	}
	if !set.small(1<<30) || set.small(100) {
		t.Error("a set is small if it fits into its room")
	}
	if large := (&Set{pairs: []pair{{clean: &photo{w: 20000, h: 20000}, degraded: &photo{w: 1, h: 1}}}}); large.small(1 << 40) {
		t.Error("a set of 1.2 GB is small")
	}
	c, err := userCache()
	if err != nil || c == nil || c.dir != filepath.Join(dir, "pixels") {
		t.Errorf("large sets are kept in %+v (%v), want in %s/pixels", c, err, dir)
	}
	t.Setenv("REKINDLE_CACHE_MB", "7")
	if c, err := userCache(); err != nil || c == nil || c.limit != 7<<20 {
		t.Errorf("REKINDLE_CACHE_MB=7 is not the limit of %+v (%v)", c, err)
	}
	t.Setenv("REKINDLE_CACHE_MB", "much")
	warned := ""
	if err := set.Load(0, func(w string) { warned += w }); err != nil || !strings.Contains(warned, "REKINDLE_CACHE_MB") {
		t.Errorf("a limit that is no number gives %v and warning %q", err, warned)
	}
	t.Setenv("REKINDLE_CACHE_DIR", "off")
	if c, err := userCache(); c != nil || err != nil {
		t.Errorf("the cache is off but in use (%v)", err)
	}
}

func TestKilledProcessesLeaveNothingBehindForLong(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ".unfinished-x")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	newCache(t, dir, 1)
	if _, err := os.Stat(path); err != nil {
		t.Error("a file that may still be written was removed")
	}
	long := time.Now().Add(-2 * time.Hour)
	os.Chtimes(path, long, long)
	newCache(t, dir, 1)
	if _, err := os.Stat(path); err == nil {
		t.Error("an old unfinished file is still there")
	}
}
