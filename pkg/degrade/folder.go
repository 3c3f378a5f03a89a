package degrade

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"rekindle/pkg/durable"
	"rekindle/pkg/rgb"
)

// ErrNoPictures is returned when the clean folder holds no PNG or JPEG file.
var ErrNoPictures = errors.New("no PNG or JPEG pictures")

// ErrForeign is returned when the degraded folder already holds pictures that
// were not made by [Folder] and would have to be overwritten.
var ErrForeign = errors.New("holds pictures that were not made here")

// saveEvery bounds the work that a killed process loses.
const saveEvery = 5 * time.Second

// Folder fills outDir with a degraded copy of every picture directly in
// cleanDir, under the same stem, as PNG. What is done to a picture depends on
// d, seed and the file's stem alone.
//
// A manifest in outDir records how each copy was made and from what. Only what
// the manifest vouches for is kept; what is missing, cut short, changed, made
// with another degradation or seed, or made from a picture that has changed
// since, is made again, and copies whose clean picture is gone are removed. So
// an interrupted call is completed by the next, and a complete folder costs a
// look at sizes and times. Each copy appears whole or not at all. Other files
// in outDir are left alone; pictures there that would be overwritten although
// they were not made by Folder give [ErrForeign].
//
// It works on all cores and returns how many copies it made. report, if not
// nil, is called after each, from one goroutine at a time, with the number of
// copies that are in place and the number there will be.
func Folder(ctx context.Context, cleanDir, outDir string, d Degradation, seed int64, report func(done, total int)) (n int, err error) {
	sources, err := listSources(cleanDir)
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(outDir, 0o777); err != nil {
		return 0, fmt.Errorf("degrade: %w", err)
	}
	same, err := sameFolder(cleanDir, outDir)
	if err != nil {
		return 0, fmt.Errorf("degrade: %w", err)
	}
	if same {
		return 0, fmt.Errorf("degrade: clean and degraded folder are both %s: choose another for the degraded copies", cleanDir)
	}
	unlock, err := lockFolder(ctx, outDir)
	if err != nil {
		return 0, err
	}
	defer unlock()
	if err := durable.Sweep(outDir); err != nil {
		return 0, fmt.Errorf("degrade: %w", err)
	}

	j := &job{cleanDir: cleanDir, outDir: outDir, how: d, seed: seed, sources: sources, report: report,
		known: &manifest{Format: manifestFormat, Degradation: d.Name(), Seed: seed, Pictures: map[string]entry{}}}
	todo, err := j.takeStock(ctx)
	if err != nil {
		return 0, err
	}
	return j.make(ctx, todo)
}

// job is one call of Folder.
type job struct {
	cleanDir, outDir string
	how              Degradation
	seed             int64
	sources          map[string]string // degraded name -> clean name
	report           func(done, total int)

	mu    sync.Mutex
	known *manifest
	saved time.Time
}

// listSources maps the name of each degraded copy to its clean picture.
func listSources(cleanDir string) (map[string]string, error) {
	names, err := rgb.List(cleanDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("degrade: no folder of clean pictures at %s: %w", cleanDir, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("degrade: %s: %w", cleanDir, ErrNoPictures)
	}
	sources := make(map[string]string, len(names))
	for _, name := range names {
		out := rgb.Stem(name) + ".png"
		if other, taken := sources[out]; taken {
			return nil, fmt.Errorf("degrade: %s holds both %s and %s, whose degraded copies would have the same name: rename one", cleanDir, other, name)
		}
		sources[out] = name
	}
	return sources, nil
}

func sameFolder(a, b string) (bool, error) {
	ia, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	ib, err := os.Stat(b)
	if err != nil {
		return false, err
	}
	return os.SameFile(ia, ib), nil
}

// takeStock finds out which copies can be kept, removes those nobody needs, and
// returns the names of those to make.
func (j *job) takeStock(ctx context.Context) (todo []string, err error) {
	old, err := readManifest(j.outDir)
	if err != nil {
		return nil, err
	}
	if old == nil {
		if err := j.checkForeign(ctx); err != nil {
			return nil, err
		}
		old = new(manifest)
	}
	changed := !old.sameRecipe(j.known)
	err = parallel(ctx, slices.Sorted(maps.Keys(j.sources)), func(name string) error {
		e, listed := old.Pictures[name]
		kept := listed && old.sameRecipe(j.known) && e.Source == j.sources[name]
		now := e
		if kept {
			now.Clean, kept = e.Clean.holds(filepath.Join(j.cleanDir, e.Source))
		}
		if kept {
			now.Degraded, kept = e.Degraded.holds(filepath.Join(j.outDir, name))
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		if kept {
			j.known.Pictures[name] = now
		} else {
			todo = append(todo, name)
		}
		changed = changed || !kept || now != e
		return nil
	})
	if err != nil {
		return nil, err
	}
	for name, e := range old.Pictures {
		if _, wanted := j.sources[name]; wanted {
			continue
		}
		changed = true
		path := filepath.Join(j.outDir, filepath.Base(name))
		if _, ours := e.Degraded.holds(path); ours {
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("degrade: %w", err)
			}
		}
	}
	if changed {
		// Before the first picture changes, nothing stale may be vouched for.
		if err := j.known.write(j.outDir); err != nil {
			return nil, err
		}
	}
	slices.Sort(todo)
	return todo, nil
}

// checkForeign guards pictures in a folder without a manifest: they may be
// somebody's only copies. Those that are what Folder would write are no loss.
func (j *job) checkForeign(ctx context.Context) error {
	there, err := rgb.List(j.outDir)
	if err != nil {
		return err
	}
	var threatened []string
	for _, name := range there {
		if _, ok := j.sources[name]; ok {
			threatened = append(threatened, name)
		}
	}
	return parallel(ctx, threatened, func(name string) error {
		have, err := os.ReadFile(filepath.Join(j.outDir, name))
		if err != nil {
			return fmt.Errorf("degrade: %w", err)
		}
		var want bytes.Buffer
		if _, err := j.degrade(name, &want); err != nil {
			return err
		}
		if !bytes.Equal(have, want.Bytes()) {
			return fmt.Errorf("degrade: %s %w (%s): choose another folder, or empty this one", j.outDir, ErrForeign, name)
		}
		return nil
	})
}

// make produces the named copies. Whatever ends it, the manifest then vouches
// for all that is done.
func (j *job) make(ctx context.Context, todo []string) (n int, err error) {
	if len(todo) == 0 {
		return 0, nil
	}
	j.saved = time.Now()
	err = parallel(ctx, todo, func(name string) error {
		e, err := j.makeOne(name)
		if err != nil {
			return err
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		n++
		j.known.Pictures[name] = e
		if time.Since(j.saved) > saveEvery {
			if err := j.known.write(j.outDir); err != nil {
				return err
			}
			j.saved = time.Now()
		}
		if j.report != nil {
			j.report(len(j.known.Pictures), len(j.sources))
		}
		return nil
	})
	return n, errors.Join(err, j.known.write(j.outDir))
}

func (j *job) makeOne(name string) (entry, error) {
	path := filepath.Join(j.outDir, name)
	f, err := durable.Create(path)
	if err != nil {
		return entry{}, fmt.Errorf("degrade: %w", err)
	}
	defer f.Abort()
	sum := sha256.New()
	clean, err := j.degrade(name, io.MultiWriter(f, sum))
	if err != nil {
		return entry{}, err
	}
	if err := f.Commit(); err != nil {
		return entry{}, fmt.Errorf("degrade: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return entry{}, fmt.Errorf("degrade: %w", err)
	}
	return entry{Source: j.sources[name], Clean: clean, Degraded: stampOf(info, sum.Sum(nil))}, nil
}

// degrade writes the copy called name to w and returns what it was made from.
func (j *job) degrade(name string, w io.Writer) (clean stamp, err error) {
	path := filepath.Join(j.cleanDir, j.sources[name])
	info, err := os.Stat(path) // before reading: if the file changes meanwhile, the stamp is already old
	if err != nil {
		return clean, fmt.Errorf("degrade: %w", err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return clean, fmt.Errorf("degrade: %w", err)
	}
	im, err := rgb.Decode(data)
	if err != nil {
		return clean, fmt.Errorf("degrade: %s: %w", path, err)
	}
	sum := sha256.Sum256(data)
	if err := j.how.Apply(im, Source(j.seed, name)).WritePNG(w); err != nil {
		return clean, fmt.Errorf("degrade: %s: %w", filepath.Join(j.outDir, name), err)
	}
	return stampOf(info, sum[:]), nil
}

// parallel calls do for each name on all cores until one fails or ctx ends, and
// returns the first error.
func parallel(ctx context.Context, names []string, do func(name string) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan string)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(names)) {
		wg.Go(func() {
			for name := range next {
				if err := do(name); err != nil {
					stop(err)
				}
			}
		})
	}
	for _, name := range names {
		select {
		case next <- name:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}
