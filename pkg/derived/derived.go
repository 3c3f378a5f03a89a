// Package derived keeps a folder of pictures that a program can make, all of
// them, any time: noisy copies of a data set, or drawn pictures.
//
// [Fill] makes what is missing or stale and nothing else. A manifest in the
// folder records how each picture was made and from what, so that work which
// was interrupted is completed by the next call, never trusted as it lies.
//
//	made, err := derived.Fill(ctx, derived.Folder{
//		Dir:    "data/degraded/gaussian/sigma_100/train",
//		Recipe: derived.Recipe{Name: "gaussian/sigma_100", Seed: 42},
//		Items:  []derived.Item{{Name: "0001.png", Source: "data/raw/train/0001.png"}},
//		Make:   func(item derived.Item, source []byte, w io.Writer) error { ... },
//	})
package derived

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"rekindle/pkg/durable"
	"rekindle/pkg/rgb"
)

// ErrForeign is returned when the folder already holds pictures that were not
// made by [Fill]: they would be overwritten, or mixed with others. All of a
// folder's pictures are somebody's own where it has no manifest.
var ErrForeign = errors.New("holds pictures that were not made here")

// ErrMixed is returned when pictures that were not made by [Fill] lie among those
// that were, under names that Fill would give to its own. Nothing is changed then.
var ErrMixed = errors.New("holds pictures that were not made here among copies that were")

const (
	// saveEvery bounds the work that a killed process loses.
	saveEvery = 5 * time.Second

	// Pictures get their names in batches, for which the disk is asked once: it takes
	// longer to flush a small picture than to make it. A batch is complete after
	batchTime  = time.Second // so long, so that people see that it goes on, or
	batchFiles = 500         // so many
)

// Recipe is all that pictures depend on besides their name and source. When it
// changes, all are made again.
type Recipe struct {
	Name   string `json:"name"`
	Seed   int64  `json:"seed"`
	Format int    `json:"format"` // to be raised when the same inputs begin to give other pictures
}

// Item is one picture to be had.
type Item struct {
	Name   string // file name in the folder
	Source string // path of the file it is made from, "" if from nothing
}

// Folder says what a folder should hold.
type Folder struct {
	Dir    string
	Recipe Recipe
	Items  []Item

	// Make writes the picture of an item to w. source is the content of the
	// item's source file. The same recipe, item and source must give the same
	// bytes. It is called from several goroutines.
	Make func(item Item, source []byte, w io.Writer) error

	// Report, if not nil, is called for each picture made, some at once, from one goroutine
	// at a time, with the number in place and the number there will be.
	Report func(done, total int)
}

// Busy reports whether another process fills a folder at this moment: [Fill] would wait.
func Busy(dir string) bool {
	f, err := os.Open(filepath.Join(dir, ".lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	free, _ := durable.TryLock(f)
	return !free
}

// Fill brings a folder up to date and returns how many pictures it made. It
// makes again what is missing, cut short, changed, made by another recipe, or
// made from a source that has changed since, and removes pictures of its own
// that are no longer wanted. Each picture appears whole or not at all, so what
// an interrupted call has done is kept. A folder that is complete costs a look
// at sizes and times.
//
// Files that Fill did not make are never touched. A picture counts as made here
// if its content is what Fill wrote, as the manifest tells, or would write, or if
// it takes the place of one and cannot be read as a picture: then it is damaged.
// A folder that has pictures but was never filled is somebody else's: the error
// then wraps [ErrForeign]; one in which somebody has put pictures at the places
// of Fill's own is [ErrMixed]. When several processes fill one folder, one works
// and the others wait. All cores are used.
func Fill(ctx context.Context, f Folder) (made int, err error) {
	j := &job{Folder: f, known: &manifest{Recipe: f.Recipe, Pictures: map[string]entry{}}}
	err = os.MkdirAll(f.Dir, 0o777)
	if durable.MayOnlyRead(err) {
		return 0, fmt.Errorf("derived: %s cannot be made where one %w (%w): name another folder", f.Dir, ErrReadOnly, err)
	}
	if err != nil {
		return 0, fmt.Errorf("derived: %w", err)
	}
	// Without locks two processes write the same bytes under the same names: slower, not wrong.
	unlock, err := durable.LockFolder(ctx, f.Dir, nil)
	if durable.MayOnlyRead(err) {
		return 0, j.onlyLook(ctx, err)
	}
	if err != nil {
		return 0, fmt.Errorf("derived: %w", err)
	}
	defer unlock()
	if err := durable.Sweep(f.Dir); err != nil {
		return 0, fmt.Errorf("derived: %w", err)
	}
	if err := j.checkCase(); err != nil {
		return 0, err
	}
	todo, err := j.takeStock(ctx)
	if err != nil {
		return 0, err
	}
	if made, err = j.makeAll(ctx, todo); err != nil {
		return made, err
	}
	return made, j.ours.remove() // the manifest vouches for every picture
}

// job is one call of Fill.
type job struct {
	Folder

	ours    *record
	mu      sync.Mutex
	known   *manifest
	saved   time.Time
	batch   *durable.Batch
	batched time.Time // when the batch before was complete
	waiting []waiting // for it
	made    int
}

// waiting is a picture that has not got its name yet.
type waiting struct {
	name string
	entry
	sum []byte // SHA-256 of the picture
}

func (j *job) path(name string) string { return filepath.Join(j.Dir, name) }

// ErrReadOnly is returned where pictures are to be made in a folder that may only
// be read.
var ErrReadOnly = errors.New("may only be read")

// onlyLook is for folders that may only be read, a disc or another user's: nothing
// is made, and those that hold all they should are as good as any.
func (j *job) onlyLook(ctx context.Context, why error) error {
	old, err := readManifest(j.Dir)
	if err != nil {
		return err
	}
	if old == nil {
		if err := j.checkForeign(ctx); err != nil {
			return err
		}
		old = new(manifest)
	}
	var mu sync.Mutex
	var missing []string
	err = parallel(ctx, j.Items, func(item Item) error {
		was := old.Pictures[key(item.Name)]
		_, kept := was.Made.Holds(j.path(item.Name))
		if kept = kept && old.Recipe == j.Recipe && was.Source == key(base(item.Source)); kept && item.Source != "" {
			_, kept = was.MadeOf.Holds(item.Source)
		}
		if !kept {
			mu.Lock()
			defer mu.Unlock()
			missing = append(missing, item.Name)
		}
		return nil
	})
	if err != nil || len(missing) == 0 {
		return err
	}
	slices.Sort(missing)
	return fmt.Errorf("derived: %s %w (%w), and %d of %d pictures are missing in it or out of date (%s): name another folder", j.Dir, ErrReadOnly, why, len(missing), len(j.Items), few(missing))
}

// foldsCase is a variable for the sake of tests: no file system at hand does.
var foldsCase = durable.FoldsCase

// checkCase refuses two pictures whose names differ in nothing but case where a file
// system takes these for one: each would replace the other, for ever.
func (j *job) checkCase() error {
	seen := map[string]string{}
	for _, item := range j.Items {
		folded := strings.ToLower(item.Name)
		if other, taken := seen[folded]; taken && foldsCase(j.Dir) {
			return fmt.Errorf("derived: %s is on a file system for which %s and %s are one name: rename one of the pictures, or name a folder on another disk", j.Dir, other, item.Name)
		}
		seen[folded] = item.Name
	}
	return nil
}

// takeStock finds out which pictures can be kept, removes those nobody wants,
// and returns the items to make.
func (j *job) takeStock(ctx context.Context) (todo []Item, err error) {
	old, err := readManifest(j.Dir)
	if err != nil {
		return nil, err
	}
	if old == nil {
		if err := j.checkForeign(ctx); err != nil {
			return nil, err
		}
		old = new(manifest)
	}
	if j.ours, err = readRecord(j.Dir, old); err != nil {
		return nil, err
	}
	changed := old.Recipe != j.Recipe
	var stale []Stamp
	var foreign []string
	err = parallel(ctx, j.Items, func(item Item) error {
		was, listed := old.Pictures[key(item.Name)]
		now, whole := was, false
		if listed {
			now.Made, whole = was.Made.Holds(j.path(item.Name))
		}
		kept := whole && old.Recipe == j.Recipe && was.Source == key(base(item.Source))
		if kept && item.Source != "" {
			now.MadeOf, kept = was.MadeOf.Holds(item.Source)
		}
		ours := whole
		if !ours {
			var err error
			if ours, err = j.mayReplace(item, listed); err != nil {
				return err
			}
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		switch {
		case !ours:
			foreign = append(foreign, item.Name)
		case kept:
			j.known.Pictures[key(item.Name)] = now
		default:
			todo = append(todo, item)
			if whole {
				stale = append(stale, now.Made)
			}
		}
		changed = changed || !kept || now != was
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(foreign) > 0 {
		slices.Sort(foreign)
		return nil, fmt.Errorf("derived: %s %w (%s): nothing was changed", j.Dir, ErrMixed, few(foreign))
	}
	// What the manifest is not going to list any more must be known as ours until it is replaced.
	if err := j.ours.add(stale...); err != nil {
		return nil, err
	}
	removed, err := j.removeUnwanted(old)
	if err != nil {
		return nil, err
	}
	if changed || removed {
		// Before the first picture changes, nothing stale may be vouched for.
		if err := j.known.write(j.Dir); err != nil {
			return nil, err
		}
	}
	return todo, nil
}

// mayReplace says whether an item's file, which is not what the manifest lists,
// is nobody's: it is not there, was made here, or is what is left of one that was.
func (j *job) mayReplace(item Item, listed bool) (bool, error) {
	have, err := os.ReadFile(j.path(item.Name))
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("derived: %w", err)
	}
	if j.ours.has(have) {
		return true, nil
	}
	if _, err := rgb.Decode(have); listed && err != nil {
		return true, nil
	}
	return j.wouldWrite(item, have)
}

// wouldWrite says whether an item's picture has just this content.
func (j *job) wouldWrite(item Item, have []byte) (bool, error) {
	var want bytes.Buffer
	_, err := j.write(item, &want)
	return bytes.Equal(have, want.Bytes()), err
}

// few names some files, but not hundreds.
func few(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// removeUnwanted removes pictures that an earlier call made and this one would
// not, unless somebody has replaced them.
func (j *job) removeUnwanted(old *manifest) (removed bool, err error) {
	wanted := map[string]bool{}
	for _, item := range j.Items {
		wanted[key(item.Name)] = true
	}
	for name, e := range old.Pictures {
		if wanted[name] || name != base(name) {
			continue
		}
		removed = true
		path := j.path(durable.Unprintable(name))
		if _, ours := e.Made.Holds(path); !ours {
			continue
		}
		if err := os.Remove(path); err != nil {
			return false, fmt.Errorf("derived: %w", err)
		}
	}
	return removed, nil
}

// base is the last element of a path, and "" for none.
func base(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Base(path)
}

// checkForeign guards pictures in a folder without a manifest: they may be
// somebody's only copies. Those that are what Make would write are no loss.
func (j *job) checkForeign(ctx context.Context) error {
	foreign := func(name string) error {
		return fmt.Errorf("derived: %s %w (%s): choose another folder, or empty this one", j.Dir, ErrForeign, name)
	}
	wanted := map[string]bool{}
	for _, item := range j.Items {
		wanted[item.Name] = true
	}
	there, err := rgb.List(j.Dir)
	if err != nil {
		return fmt.Errorf("derived: %w", err)
	}
	for _, name := range there {
		if !wanted[name] {
			return foreign(name)
		}
	}
	return parallel(ctx, j.Items, func(item Item) error {
		have, err := os.ReadFile(j.path(item.Name))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("derived: %w", err)
		}
		if same, err := j.wouldWrite(item, have); err != nil || same {
			return err
		}
		return foreign(item.Name)
	})
}

// makeAll makes the items. Whatever ends it, the manifest then vouches for all
// that is done.
func (j *job) makeAll(ctx context.Context, todo []Item) (made int, err error) {
	if len(todo) == 0 {
		return 0, nil
	}
	slices.SortFunc(todo, func(a, b Item) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	if j.batch, err = durable.NewBatch(j.Dir); err != nil {
		return 0, fmt.Errorf("derived: %w", err)
	}
	defer j.batch.Close()
	j.saved, j.batched = time.Now(), time.Now()
	err = parallel(ctx, todo, func(item Item) error {
		if err := j.makeOne(item); err != nil {
			return err
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.batch.Len() < batchFiles && time.Since(j.batched) < batchTime {
			return nil
		}
		if err := j.complete(); err != nil || time.Since(j.saved) <= saveEvery {
			return err
		}
		j.saved = time.Now()
		return j.known.write(j.Dir)
	})
	err = errors.Join(err, j.complete())
	return j.made, errors.Join(err, j.known.write(j.Dir))
}

// complete gives the pictures that wait their names.
func (j *job) complete() error {
	j.batched = time.Now()
	list := j.waiting
	j.waiting = nil
	if err := j.batch.Commit(); err != nil {
		return fmt.Errorf("derived: %w", err)
	}
	for _, w := range list {
		info, err := os.Stat(j.path(w.name))
		if err != nil {
			return fmt.Errorf("derived: %w", err)
		}
		w.Made = stampOf(info, w.sum)
		j.known.Pictures[key(w.name)] = w.entry
		j.made++
		if j.Report != nil {
			j.Report(len(j.known.Pictures), len(j.Items))
		}
	}
	return nil
}

// makeOne makes a picture, which then waits for its name.
func (j *job) makeOne(item Item) error {
	f, err := durable.Create(j.path(item.Name))
	if err != nil {
		return fmt.Errorf("derived: %w", err)
	}
	defer f.Abort()
	sum := sha256.New()
	of, err := j.write(item, io.MultiWriter(f, sum))
	if err != nil {
		return err
	}
	if err := j.ours.add(Stamp{SHA256: hex.EncodeToString(sum.Sum(nil))}); err != nil { // or a kill would leave a picture that nobody knows
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.batch.Add(f); err != nil {
		return fmt.Errorf("derived: %w", err)
	}
	j.waiting = append(j.waiting, waiting{item.Name, entry{Source: key(base(item.Source)), MadeOf: of}, sum.Sum(nil)})
	return nil
}

// write makes one picture and returns what it was made of.
func (j *job) write(item Item, w io.Writer) (of Stamp, err error) {
	var source []byte
	if item.Source != "" {
		info, err := os.Stat(item.Source) // before reading: if the file changes meanwhile, the stamp is already old
		if err != nil {
			return of, fmt.Errorf("derived: %w", err)
		}
		if source, err = os.ReadFile(item.Source); err != nil {
			return of, fmt.Errorf("derived: %w", err)
		}
		sum := sha256.Sum256(source)
		of = stampOf(info, sum[:])
	}
	return of, j.Make(item, source, w)
}

// parallel calls do for each item on all cores until one fails or ctx ends, and
// returns the first error.
func parallel(ctx context.Context, items []Item, do func(Item) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan Item)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(items)) {
		wg.Go(func() {
			for item := range next {
				if err := do(item); err != nil {
					stop(err)
				}
			}
		})
	}
	for _, item := range items {
		select {
		case next <- item:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}
