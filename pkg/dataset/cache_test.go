package dataset

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func newCache(t *testing.T, dir string, limit int64) *cache {
	t.Helper()
	c, err := openCache(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// scenes prepares n pairs of 16 by 16 pixels.
func scenesOf(t *testing.T, n int) []scene {
	t.Helper()
	found, err := match(folders(t, n, 16, 16))
	if err != nil {
		t.Fatal(err)
	}
	if err := measure(found); err != nil {
		t.Fatal(err)
	}
	return found
}

const entrySize = int64(cacheHeader + 3*16*16)

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

func assertPixels(t *testing.T, pairs []pair) {
	t.Helper()
	for i, p := range pairs {
		if !slices.Equal(p.clean.Pix, marked(16, 16, uint8(2*i)).Pix) || !slices.Equal(p.degraded.Pix, marked(16, 16, uint8(2*i+1)).Pix) {
			t.Errorf("pair %d holds other pixels than its files", i)
		}
	}
}

func TestMappedPicturesAreTheDecodedOnes(t *testing.T) {
	dir, scenes := t.TempDir(), scenesOf(t, 5)
	for range 2 { // written, then found
		pairs, err := decode(scenes, newCache(t, dir, 1<<30), func(w string) { t.Error(w) })
		if err != nil {
			t.Fatal(err)
		}
		assertPixels(t, pairs)
	}
	if n := len(cacheFiles(t, dir)); n != 10 {
		t.Errorf("the cache holds %d files, want one for each of 10 pictures", n)
	}
}

// forget makes this process look like a new one.
func forget() {
	mapped.Lock()
	defer mapped.Unlock()
	mapped.pictures = nil
}

func TestACachedPictureIsNotDecodedAgain(t *testing.T) {
	dir, scenes := t.TempDir(), scenesOf(t, 1)
	if _, err := decode(scenes, newCache(t, dir, 1<<30), nil); err != nil {
		t.Fatal(err)
	}
	forget()
	// Same name, size, time and inode, but nothing that could be decoded.
	info, _ := os.Stat(scenes[0].clean)
	if err := os.WriteFile(scenes[0].clean, make([]byte, info.Size()), 0o666); err != nil {
		t.Fatal(err)
	}
	os.Chtimes(scenes[0].clean, info.ModTime(), info.ModTime())
	pairs, err := decode(scenes, newCache(t, dir, 1<<30), nil)
	if err != nil {
		t.Fatalf("the picture was decoded again: %v", err)
	}
	assertPixels(t, pairs)
}

func TestAChangedPictureIsDecodedAgain(t *testing.T) {
	dir, scenes := t.TempDir(), scenesOf(t, 1)
	if _, err := decode(scenes, newCache(t, dir, 1<<30), nil); err != nil {
		t.Fatal(err)
	}
	save(t, marked(16, 16, 99), scenes[0].clean)
	pairs, err := decode(scenes, newCache(t, dir, 1<<30), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(pairs[0].clean.Pix, marked(16, 16, 99).Pix) {
		t.Error("the old pixels were handed out")
	}
}

func TestADamagedCacheFileIsMadeAnew(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"cut short":   func(path string) error { return os.Truncate(path, entrySize-1) },
		"empty":       func(path string) error { return os.Truncate(path, 0) },
		"other magic": func(path string) error { return os.WriteFile(path, make([]byte, entrySize), 0o666) },
	} {
		dir, scenes := t.TempDir(), scenesOf(t, 1)
		if _, err := decode(scenes, newCache(t, dir, 1<<30), nil); err != nil {
			t.Fatal(err)
		}
		forget()
		for _, file := range cacheFiles(t, dir) {
			if err := damage(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
		}
		pairs, err := decode(scenes, newCache(t, dir, 1<<30), func(w string) { t.Error(w) })
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		assertPixels(t, pairs)
	}
}

func TestTheLeastRecentlyUsedPicturesMakeRoom(t *testing.T) {
	dir, old, recent, added := t.TempDir(), scenesOf(t, 1), scenesOf(t, 1), scenesOf(t, 1)
	for _, s := range [][]scene{old, recent} {
		if _, err := decode(s, newCache(t, dir, 1<<30), nil); err != nil {
			t.Fatal(err)
		}
	}
	files := func(s []scene) (names []string) {
		for _, path := range []string{s[0].clean, s[0].degraded} {
			name, err := cacheName(path)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
		return names
	}
	long := time.Now().Add(-time.Hour)
	for _, name := range slices.Concat(files(old), files(recent)) {
		os.Chtimes(filepath.Join(dir, name), long, long)
	}
	if _, err := decode(recent, newCache(t, dir, 1<<30), nil); err != nil { // a use
		t.Fatal(err)
	}
	if _, err := decode(added, newCache(t, dir, 4*entrySize), func(w string) { t.Error(w) }); err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(slices.Values(slices.Concat(files(recent), files(added))))
	if got := cacheFiles(t, dir); !slices.Equal(got, want) {
		t.Errorf("the cache holds %v, want the recently used and the new %v", got, want)
	}
	pairs, err := decode(old, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	assertPixels(t, pairs)
}

func TestASetBeyondTheLimitStaysInMemoryWithAWarning(t *testing.T) {
	dir, scenes := t.TempDir(), scenesOf(t, 4)
	var warnings []string
	pairs, err := decode(scenes, newCache(t, dir, 3*entrySize), func(w string) { warnings = append(warnings, w) })
	if err != nil {
		t.Fatal(err)
	}
	assertPixels(t, pairs)
	if n := len(cacheFiles(t, dir)); n != 3 {
		t.Errorf("the cache holds %d files, its limit allows 3", n)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "5 decoded pictures stay in memory") {
		t.Errorf("warnings are %q, want one about 5 pictures", warnings)
	}
}

func TestEvictionDoesNotTakePicturesInUseAway(t *testing.T) {
	dir, first, second := t.TempDir(), scenesOf(t, 2), scenesOf(t, 2)
	pairs, err := decode(first, newCache(t, dir, 1<<30), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decode(second, newCache(t, dir, 4*entrySize), nil); err != nil {
		t.Fatal(err)
	}
	for _, file := range cacheFiles(t, dir) {
		os.Remove(filepath.Join(dir, file))
	}
	assertPixels(t, pairs)
}

func TestAnUnusableCacheMeansMemory(t *testing.T) {
	dir, scenes := t.TempDir(), scenesOf(t, 2)
	c := newCache(t, dir, 1<<30)
	c.dir = filepath.Join(dir, "gone")
	var warnings []string
	pairs, err := decode(scenes, c, func(w string) { warnings = append(warnings, w) })
	if err != nil {
		t.Fatal(err)
	}
	assertPixels(t, pairs)
	if len(warnings) != 1 {
		t.Errorf("warnings are %q, want one", warnings)
	}
}

func TestOnlyLargeSetsAreCached(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	t.Setenv("REKINDLE_CACHE_DIR", dir)
	openSet(t, 3, 20, 20, 8)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("a small set made a cache folder")
	}
	large := []scene{{w: 20000, h: 20000}}
	if c := cacheFor(large, nil); c == nil || c.dir != filepath.Join(dir, "pixels") {
		t.Errorf("a set of 2.4 GB is kept in %+v, want in %s/pixels", c, dir)
	}
	t.Setenv("REKINDLE_CACHE_MB", "7")
	if c := cacheFor(large, nil); c == nil || c.limit != 7<<20 {
		t.Errorf("REKINDLE_CACHE_MB=7 is not the limit of %+v", c)
	}
	t.Setenv("REKINDLE_CACHE_MB", "much")
	warned := ""
	if c := cacheFor(large, func(w string) { warned = w }); c != nil || !strings.Contains(warned, "REKINDLE_CACHE_MB") {
		t.Errorf("a limit that is no number gives %+v and warning %q", c, warned)
	}
	t.Setenv("REKINDLE_CACHE_DIR", "off")
	if c := cacheFor(large, func(w string) { t.Error(w) }); c != nil {
		t.Error("the cache is off but in use")
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
