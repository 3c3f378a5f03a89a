package notebook

import (
	"errors"
	"fmt"
	"io/fs"

	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/degrade"
	"rekindle/pkg/derived"
	"rekindle/pkg/notebook/cell"
)

// Data is the pictures of a configuration, decoded, and the patches cut from them.
type Data struct {
	TrainSet, ValSet *dataset.Set
	Train, Val       *dataset.Sampler
}

// OpenData reads the pictures that the configuration names, so that patches come
// quickly, within its MemoryLimitMB. warn is told about pictures that are left out.
// What [PrepareData] refused is an error.
func OpenData(cfg config.Config, warn func(string)) (*Data, error) {
	d, err := lookAtData(cfg, warn)
	if err != nil {
		return nil, err
	}
	for _, set := range []*dataset.Set{d.TrainSet, d.ValSet} {
		if err := set.Load(dataset.Room(cfg.MemoryLimitMB), warn); err != nil {
			return nil, softly(err)
		}
	}
	return d, nil
}

// lookAtData is OpenData for a look at a few patches.
func lookAtData(cfg config.Config, warn func(string)) (*Data, error) {
	var d Data
	var err error
	all := parts(cfg)
	if d.TrainSet, err = all[0].open(cfg.PatchSize, warn); err != nil {
		return nil, err
	}
	if d.ValSet, err = all[1].open(cfg.PatchSize, warn); err != nil {
		return nil, err
	}
	if d.Train, err = d.TrainSet.Training(cfg); err != nil {
		return nil, err
	}
	d.Val = d.ValSet.Validation(cfg.PatchSize, cfg.ValPatchesPerImage, cfg.Seed)
	return &d, nil
}

// OpenValidation finds the validation pictures that are at least as large as a
// patch. Each is decoded when it is asked for.
func OpenValidation(cfg config.Config, patchSize int, warn func(string)) (*dataset.Set, error) {
	return parts(cfg)[1].open(patchSize, warn)
}

func (p part) open(patchSize int, warn func(string)) (*dataset.Set, error) {
	if err := p.refused(); err != nil {
		return nil, softly(err)
	}
	degraded := p.degraded
	if !p.copies {
		degraded = p.clean // not looked at
	}
	some := &firstFew{to: warn}
	set, err := dataset.Look(degraded, p.clean, patchSize, some.warn)
	some.end()
	if err == nil {
		p.tellLevels(set)
	}
	return set, softly(pointToData(err))
}

// tellLevels tells a set the level of noise of each copy, where that is known: it
// is drawn from the seed and the name, or it is the same for all.
func (p part) tellLevels(set *dataset.Set) {
	if p.noise == nil || !p.copies {
		return
	}
	low, high := p.noise.Levels()
	if by, ok := derived.RecipeOf(p.degraded); !ok || by.Name != p.noise.Name() || by.Seed != p.seed {
		if low < high {
			return // somebody's own pictures
		}
	}
	set.KnowLevels(func(stem string) float64 { return p.noise.Level(degrade.Source(p.seed, stem+".png")) })
}

// softly makes an error about pictures one that does not end Run All, where the
// cells are only to show what there is.
func softly(err error) error {
	m, e := recall()
	if err == nil || e != nil || !m.Looking {
		return err
	}
	return looking{err}
}

// looking is an error that counts as [cell.ErrNothing].
type looking struct{ error }

func (l looking) Unwrap() []error { return []error{l.error, cell.ErrNothing} }

// Identity says which pictures these are.
func (d *Data) Identity() (id dataset.Identity, err error) {
	if id.Train, err = d.TrainSet.Pictures(); err == nil {
		id.Val, err = d.ValSet.Pictures()
	}
	return id, err
}

// pointToData adds to an error about missing pictures which cell makes them.
func pointToData(err error) error {
	var mismatch *dataset.MismatchError
	switch {
	case errors.As(err, &mismatch) && len(mismatch.WithoutDegraded) > 0, errors.Is(err, dataset.ErrEmpty):
		return fmt.Errorf("%w; the cell under \"5. Degraded Datasets\" completes the degraded pictures: run it again", err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w; run the cell under \"5. Degraded Datasets\" first", err)
	}
	return err
}

// firstFew passes on the first warnings of a kind and counts the others.
type firstFew struct {
	to func(string)
	n  int
}

const fewWarnings = 5

func (f *firstFew) warn(text string) {
	if f.n++; f.n <= fewWarnings && f.to != nil {
		f.to(text)
	}
}

func (f *firstFew) end() {
	if more := f.n - fewWarnings; more > 0 && f.to != nil {
		f.to(fmt.Sprintf("and %d more pictures like these", more))
	}
}

// ShowLoaders prints what the data consist of and how many batches they make.
func ShowLoaders(cfg config.Config) {
	d, err := OpenData(cfg, cell.Warn)
	cell.Check(err)
	line := func(name string, set *dataset.Set, patches, perImage int, kind string) {
		batches := (patches + cfg.BatchSize - 1) / cfg.BatchSize
		cell.Say("   %-6s %4d images, %2d %s patches of %d x %d from each: %5d patches, %d batches", name, set.Images(), perImage, kind, cfg.PatchSize, cfg.PatchSize, patches, batches)
	}
	cell.Say("📦 Data, in batches of %d", cfg.BatchSize)
	line("Train:", d.TrainSet, d.Train.Len(), cfg.PatchesPerImage, "random")
	line("Val:", d.ValSet, d.Val.Len(), cfg.ValPatchesPerImage, "fixed")
}
