package notebook

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/dataset/leaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/derived"
	"rekindle/pkg/rgb"
)

// The built-in set is as small as it can be for a network to learn from it in
// minutes: more pictures gain little before training takes much longer.
const (
	builtInTrain = 32
	builtInVal   = 8
)

var builtInSide = 320 // pixels; smaller in tests

// PrepareData makes whatever is missing of the data. Where there are no
// photographs and the clean folders are the default ones, the built-in set is
// drawn. Degraded copies are made where they are missing or out of date;
// degraded pictures that were not made here are used as they are.
func PrepareData(cfg config.Config) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	Check(prepareData(ctx, cfg))
}

func prepareData(ctx context.Context, cfg config.Config) error {
	degradation, err := cfg.NewDegradation()
	if err != nil {
		return err
	}
	if err := downloadIfWanted(ctx, cfg); err != nil {
		return err
	}
	if err := checkFolders(cfg); err != nil {
		return err
	}
	// Chance depends on the seed and the file's name: with one seed for both, pictures of the same name would share its noise.
	valSeed := cfg.Seed + 1
	if cfg.ValDegradedDir == cfg.TrainDegradedDir {
		valSeed = cfg.Seed
	}
	for _, part := range []struct {
		name, clean, degraded string
		pictures              int
		seed                  int64
	}{
		{"Train", cfg.TrainCleanDir, cfg.TrainDegradedDir, builtInTrain, cfg.Seed},
		{"Val", cfg.ValCleanDir, cfg.ValDegradedDir, builtInVal, valSeed},
	} {
		if _, err := os.Stat(part.clean); errors.Is(err, fs.ErrNotExist) { // one of the usual folders, or checkFolders would have refused it
			if err := drawLeaves(ctx, part.name, part.clean, part.pictures, part.seed); err != nil {
				return err
			}
		}
		if cfg.DegradeOnTheFly && part.name == "Train" {
			say("✅ Train: each patch is degraded anew when it is cut (%s); no copies are made", degradation.Name())
			continue
		}
		if err := makeDegraded(ctx, part.name, part.clean, part.degraded, degradation, part.seed); err != nil {
			return err
		}
	}
	return nil
}

// checkFolders reports clean folders that are missing or empty. The usual ones
// may be missing, because the built-in set is drawn there, and all of them where
// DIV2K is going to be downloaded.
func checkFolders(cfg config.Config) error {
	usual := config.Default()
	for _, f := range []struct{ key, dir, usual string }{
		{"TrainCleanDir", cfg.TrainCleanDir, usual.TrainCleanDir}, {"ValCleanDir", cfg.ValCleanDir, usual.ValCleanDir},
	} {
		names, err := rgb.List(f.dir)
		switch {
		case cfg.DownloadDIV2K && (errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0):
		case errors.Is(err, fs.ErrNotExist) && f.dir == f.usual:
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%s: there is no folder %s; put PNG or JPEG photographs there, or set %s = %q for the built-in pictures", f.key, f.dir, f.key, f.usual)
		case err != nil:
			return fmt.Errorf("%s: %w", f.key, err)
		case len(names) == 0:
			return fmt.Errorf("%s: the folder %s holds no PNG or JPEG pictures; put photographs there, or remove it and set %s = %q for the built-in pictures", f.key, f.dir, f.key, f.usual)
		}
	}
	return nil
}

// drawLeaves makes the built-in pictures in a folder beside dir, which gets its
// name when it is complete: a folder of clean pictures is never half made.
func drawLeaves(ctx context.Context, name, dir string, n int, seed int64) error {
	say("🍂 %s: no photographs in %s; drawing the built-in set, %d pictures of %d x %d pixels", name, dir, n, builtInSide, builtInSide)
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return err
	}
	unfinished := filepath.Join(filepath.Dir(dir), ".unfinished-"+filepath.Base(dir))
	count := NewCounter(name + ": drawn")
	defer count.End()
	err := leaves.Folder(unfinished, n, builtInSide, builtInSide, seed, count.Set)
	if err == nil && ctx.Err() != nil {
		return fmt.Errorf("interrupted; run the cell again to complete the data")
	}
	if err == nil {
		err = os.Rename(unfinished, dir)
	}
	if _, e := os.Stat(dir); err != nil && e == nil {
		return os.RemoveAll(unfinished) // another kernel drew the same pictures at the same time, and was quicker
	}
	return err
}

func makeDegraded(ctx context.Context, name, clean, degraded string, d degrade.Degradation, seed int64) error {
	count := NewCounter(name + ": degraded")
	began := time.Now()
	made, err := degrade.Folder(ctx, clean, degraded, d, seed, count.Set)
	count.End()
	switch {
	case errors.Is(err, derived.ErrForeign):
		say("✅ %s: using the degraded pictures that are in %s", name, degraded)
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted; run the cell again to complete the data")
	case err != nil:
		return err
	case made == 0:
		say("✅ %s: degraded copies are complete in %s", name, degraded)
	default:
		say("✅ %s: %d degraded copies (%s) made in %s, %.1f s", name, made, d.Name(), degraded, time.Since(began).Seconds())
		if namedAfterAnother(degraded, d) {
			say("   The folder's name says something else; %sDegradedDir = %q would fit", name, config.DegradedDir(d, strings.ToLower(name)))
		}
	}
	return nil
}

// namedAfterAnother says whether a folder bears the name of another degradation
// than d, or of another strength.
func namedAfterAnother(dir string, d degrade.Degradation) bool {
	path := "/" + filepath.ToSlash(dir) + "/"
	another := func(kind string) bool { return strings.Contains(path, "/"+kind+"/") }
	return !strings.Contains(path, "/"+d.Name()+"/") && slices.ContainsFunc(degrade.Names(), another)
}

// Data is the pictures of a configuration, decoded, and the patches cut from them.
type Data struct {
	TrainSet, ValSet *dataset.Set
	Train, Val       *dataset.Sampler
}

// OpenData reads the pictures that the configuration names. warn is told about
// pictures that are left out.
func OpenData(cfg config.Config, warn func(string)) (*Data, error) {
	open := func(degraded, clean string) (*dataset.Set, error) {
		some := &firstFew{to: warn}
		set, err := dataset.Open(degraded, clean, cfg.PatchSize, some.warn)
		some.end()
		return set, pointToData(err)
	}
	var d Data
	var err error
	degraded := cfg.TrainDegradedDir
	if cfg.DegradeOnTheFly {
		degraded = cfg.TrainCleanDir // not looked at
	}
	if d.TrainSet, err = open(degraded, cfg.TrainCleanDir); err != nil {
		return nil, err
	}
	if d.ValSet, err = open(cfg.ValDegradedDir, cfg.ValCleanDir); err != nil {
		return nil, err
	}
	d.Train = d.TrainSet.Train(cfg.PatchSize, cfg.PatchesPerImage, cfg.Seed)
	if cfg.DegradeOnTheFly {
		degradation, err := cfg.NewDegradation()
		if err != nil {
			return nil, err
		}
		d.Train = d.Train.OnTheFly(degradation)
	}
	d.Val = d.ValSet.Validation(cfg.PatchSize, cfg.ValPatchesPerImage, cfg.Seed)
	return &d, nil
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

func warn(text string) { say("⚠️  %s", text) }

// ShowLoaders prints what the data consist of and how many batches they make.
func ShowLoaders(cfg config.Config) {
	d, err := OpenData(cfg, warn)
	Check(err)
	line := func(name string, set *dataset.Set, patches, perImage int, kind string) {
		batches := (patches + cfg.BatchSize - 1) / cfg.BatchSize
		say("   %-6s %4d images, %2d %s patches of %d x %d from each: %5d patches, %d batches", name, set.Images(), perImage, kind, cfg.PatchSize, cfg.PatchSize, patches, batches)
	}
	say("📦 Data, in batches of %d", cfg.BatchSize)
	line("Train:", d.TrainSet, d.Train.Len(), cfg.PatchesPerImage, "random")
	line("Val:", d.ValSet, d.Val.Len(), cfg.ValPatchesPerImage, "fixed")
}
