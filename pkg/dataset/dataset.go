// Package dataset turns folders of pictures into batches of patches for
// training and validation.
//
// A [Set] is a folder of degraded pictures beside a folder of clean ones. For
// training it is decoded once. A [Sampler] says which patch is which: patch number i of epoch e
// is a pure function of the seed, e and i, so that training that stopped
// anywhere goes on with the very patches it would have seen. A [Loader] cuts
// them ahead of time in the background.
//
//	set, err := dataset.Open("data/degraded/gaussian/sigma_100/train", "data/raw/train", 128, warn)
//	loader := set.Train(128, 20, 42).Batches(ctx, epoch, 0, 16, 4)
//	defer loader.Close()
//	for {
//		batch, err := loader.Next() // io.EOF ends the epoch
//		...
//		loader.Recycle(batch)
//	}
package dataset

import (
	"errors"
	"fmt"
	"path/filepath"

	"rekindle/pkg/rgb"
)

// ErrEmpty is returned when a folder holds no pictures.
var ErrEmpty = errors.New("no PNG or JPEG pictures")

// ErrTooSmall is returned when no picture is as large as a patch.
var ErrTooSmall = errors.New("no picture is as large as a patch")

// SizeError is returned when a degraded picture and its clean one differ in
// size.
type SizeError struct {
	Degraded, Clean                      string // paths
	DegradedW, DegradedH, CleanW, CleanH int
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("%s is %d x %d pixels but %s is %d x %d", e.Degraded, e.DegradedW, e.DegradedH, e.Clean, e.CleanW, e.CleanH)
}

// Set is pairs of pictures, degraded and clean. It may be used by several
// goroutines at once.
type Set struct {
	pairs    []pair
	scenes   []scene // their files
	levelled bool    // the levels of the noise are known
}

// pair is one scene. The pictures have the same size.
type pair struct {
	stem            string
	degraded, clean *photo
	level           float64 // of the noise of degraded, 0: none is known
}

// Look finds all pairs of pictures (PNG, JPEG, ...) directly in two folders and
// reads their sizes. A pair shares its stem; the ending may differ. For
// [Sampler.OnTheFly], which needs no degraded pictures, the two folders may be
// one. Pictures smaller than patchSize in a side are skipped, and warn, if not
// nil, is told.
//
// Until [Set.Load] has been called, a picture is decoded whenever it is asked
// for: right for looking at a few of many.
//
// The first thing that is wrong is returned as an error of one sentence that
// names the folder or file: a missing folder (fs.ErrNotExist), an empty one
// ([ErrEmpty]), folders that do not match ([MismatchError]), sizes that differ
// ([SizeError]), a picture that cannot be read, nothing left ([ErrTooSmall]).
func Look(degradedDir, cleanDir string, patchSize int, warn func(string)) (*Set, error) {
	if patchSize < 1 {
		return nil, fmt.Errorf("dataset: patch size is %d: must be at least 1", patchSize)
	}
	if warn != nil {
		for _, line := range rgb.Dangling(cleanDir) {
			warn(line)
		}
	}
	found, err := match(degradedDir, cleanDir)
	if err != nil {
		return nil, err
	}
	if err := measure(found); err != nil {
		return nil, err
	}
	var kept []scene
	for _, s := range found {
		if min(s.w, s.h) >= patchSize {
			kept = append(kept, s)
			continue
		}
		if warn != nil {
			warn(fmt.Sprintf("dataset: %s (%d x %d) is smaller than a patch of %d and is skipped", filepath.Base(s.clean), s.w, s.h, patchSize))
		}
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("dataset: %s: %w of %d x %d: choose a smaller PatchSize or larger pictures", cleanDir, ErrTooSmall, patchSize, patchSize)
	}
	set := &Set{pairs: make([]pair, len(kept)), scenes: kept}
	err = parallel(len(kept), func(i int) (err error) {
		set.pairs[i], err = kept[i].open()
		return err
	})
	if err != nil {
		return nil, err
	}
	return set, nil
}

// open makes the pair of a scene that was measured.
func (s scene) open() (p pair, err error) {
	p.stem = s.stem
	p.clean = &photo{path: s.clean, w: s.w, h: s.h}
	p.degraded = p.clean
	if s.degraded != s.clean {
		p.degraded = &photo{path: s.degraded, w: s.w, h: s.h}
	}
	for _, of := range []*photo{p.clean, p.degraded} {
		if of.id, err = idOf(of.path); err != nil {
			return p, fmt.Errorf("dataset: %w", err)
		}
	}
	return p, nil
}

// Open is [Look], and then [Set.Load] with as much memory as [Room] finds.
//
// Sets of more than 256 MB decoded are kept decoded in the user's cache folder,
// so that they need not fit into memory and open at once the next time. The
// environment variable REKINDLE_CACHE_DIR names another folder ("off": none, see
// [machine.CacheFolder]) and REKINDLE_CACHE_MB the limit, beyond which what was
// not used for longest is removed.
func Open(degradedDir, cleanDir string, patchSize int, warn func(string)) (*Set, error) {
	set, err := Look(degradedDir, cleanDir, patchSize, warn)
	if err == nil {
		err = set.Load(Room(0), warn)
	}
	if err != nil {
		return nil, err
	}
	return set, nil
}

// Images is the number of pairs.
func (s *Set) Images() int { return len(s.pairs) }

// Pair returns pair i, in the order of the file names. name is the stem that
// the two files share, such as "0801". The pictures may belong to the set: do not
// write to them.
func (s *Set) Pair(i int) (name string, degraded, clean *rgb.Image, err error) {
	p := s.pairs[i]
	if clean, err = p.clean.whole(); err != nil {
		return p.stem, nil, nil, err
	}
	if degraded = clean; p.degraded != p.clean {
		degraded, err = p.degraded.whole()
	}
	return p.stem, degraded, clean, err
}

// KnowLevels tells the set what level of noise each of its degraded pictures has,
// a standard deviation in 8-bit levels, by the stem of its name.
func (s *Set) KnowLevels(of func(stem string) float64) {
	s.levelled = true
	for i := range s.pairs {
		s.pairs[i].level = of(s.pairs[i].stem)
	}
}

// Level is what [Set.KnowLevels] was told of pair i; 0: nothing.
func (s *Set) Level(i int) float64 { return s.pairs[i].level }
