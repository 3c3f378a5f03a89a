package notebook

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/derived"
	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/interrupt"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/rgb"
)

// builtIn is how many pictures of what side, in pixels, the built-in set has.
type builtIn struct {
	pictures [2]int // to train on, to validate with
	side     int
}

// PrepareData makes whatever is missing of the data. Where there are no
// photographs and the clean folders are the default ones, the built-in set is
// drawn, unless there is a sign that photographs were there: the experiment was
// trained on some, or there are degraded copies of some. Degraded copies are made
// where they are missing or out of date; degraded pictures that were not made
// here are used as they are, and never changed.
//
// What it refuses, or has not finished, no later cell uses.
func PrepareData(cfg config.Config) {
	ctx, stop := interrupt.Context()
	defer stop()
	// As small as it can be for a network to learn from it in minutes: more pictures gain
	// little before training takes much longer.
	set := builtIn{[2]int{32, 8}, 320}
	_, err := interrupt.Do(ctx, func() (any, error) { return nil, prepareData(ctx, cfg, set) })
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = errUnfinished
	}
	cell.Check(err)
}

var errUnfinished = errors.New("interrupted; run the cell again to complete the data")

const dataCell = `"5. Degraded Datasets"`

// part is one of the two data sets of a configuration.
type part struct {
	name            string // as it begins the names of its keys
	clean, degraded string // folders
	usual           string // where clean lies if nobody says otherwise
	seed            int64
	was             *dataset.Pictures // that the current experiment was trained on; nil: none yet
	copies          bool              // degraded copies are made
	noise           degrade.Noise     // of the copies; nil: they are not noisy, or not known
}

// parts are training and validation, in this order.
func parts(cfg config.Config) [2]part {
	usual := config.Default()
	// Chance depends on the seed and the file's name: with one seed for both, pictures of the same name would share its noise.
	valSeed := cfg.Seed + 1
	if cfg.ValDegradedDir == cfg.TrainDegradedDir {
		valSeed = cfg.Seed
	}
	degradation, _ := cfg.NewDegradation() // Validate says what is wrong with it
	noise, _ := degradation.(degrade.Noise)
	return [2]part{
		{name: "Train", clean: cfg.TrainCleanDir, degraded: cfg.TrainDegradedDir, usual: usual.TrainCleanDir, seed: cfg.Seed, copies: !cfg.DegradeOnTheFly, noise: noise},
		{name: "Val", clean: cfg.ValCleanDir, degraded: cfg.ValDegradedDir, usual: usual.ValCleanDir, seed: valSeed, copies: true, noise: noise},
	}
}

func prepareData(ctx context.Context, cfg config.Config, drawn builtIn) error {
	degradation, err := cfg.NewDegradation()
	if err != nil {
		return err
	}
	all := parts(cfg)
	exp, err := trainedOn(all[:])
	if err != nil {
		return err
	}
	check := func() error {
		var failed []error
		for _, p := range all {
			err := p.check(cfg)
			if err == nil {
				err = p.checkSame(cfg, exp)
			}
			if e := p.mark(err); e != nil {
				return e
			}
			failed = append(failed, err)
		}
		return errors.Join(failed...)
	}
	if err := check(); err != nil {
		return softly(err)
	}
	if cfg.DownloadDIV2K {
		if err := downloadIfWanted(ctx, cfg); err != nil {
			return err
		}
		if err := check(); err != nil {
			return err
		}
	}
	for _, p := range all {
		if err := p.mark(fmt.Errorf("the cell under %s did not run to its end; run it again", dataCell)); err != nil {
			return err
		}
	}
	for i, p := range all {
		err := p.make(ctx, degradation, drawn.pictures[i], drawn.side)
		if err := p.mark(err); err != nil {
			return err
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// trainedOn tells the parts what the current experiment was trained on, and
// returns its name. A data.json that cannot be read is no obstacle: training
// compares with the checkpoint.
func trainedOn(all []part) (name string, err error) {
	m, err := recall()
	if err != nil || m.Experiment == "" {
		return "", err
	}
	exp, err := experiment.Open(m.Experiment)
	if err != nil {
		return "", nil // gone; another cell says so
	}
	id, err := dataset.LoadIdentity(exp.DataPath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		cell.Warn(err.Error())
		return "", nil
	}
	all[0].was, all[1].was = &id.Train, &id.Val
	return exp.Name(), nil
}

func (p part) key() string { return p.clean + " → " + p.degraded }

// mark remembers for later cells why a part cannot be used, nil if it can.
func (p part) mark(why error) error {
	m, err := recall()
	if err != nil {
		return err
	}
	if m.Refused == nil {
		m.Refused = map[string]string{}
	}
	delete(m.Refused, p.key())
	if why != nil {
		m.Refused[p.key()] = why.Error()
	}
	return remember(m)
}

// refused is the reverse of mark.
func (p part) refused() error {
	m, err := recall()
	if err != nil {
		return err
	}
	if why := m.Refused[p.key()]; why != "" {
		return fmt.Errorf("the cell under %s refused these pictures: %s", dataCell, why)
	}
	if p.copies && degrade.SameFolder(p.clean, p.degraded) {
		return fmt.Errorf("%sCleanDir and %sDegradedDir are both %s; choose another folder for the degraded pictures", p.name, p.name, p.clean)
	}
	return nil
}

// check reports clean folders that are missing or empty. The usual ones may be
// missing, because the built-in set is drawn there, and all of them where DIV2K
// is going to be downloaded.
func (p part) check(cfg config.Config) error {
	key := p.name + "CleanDir"
	names, err := rgb.List(p.clean)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case cfg.DownloadDIV2K && (missing || err == nil && len(names) == 0):
	case missing && p.was != nil && !p.was.Drawn: // checkSame says what is missing
	case missing && p.clean == p.usual && p.copies:
		there, err := rgb.List(p.degraded)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if other := slices.IndexFunc(there, func(name string) bool { return !deadleaves.IsName(name) }); other >= 0 {
			return fmt.Errorf("%s: there is no folder %s, but %s holds degraded copies of pictures that were in it (%s): mount their disk or put them back; "+
				"for the built-in pictures, set %sDegradedDir to a folder of their own", key, p.clean, p.degraded, there[other], p.name)
		}
		return err
	case missing && p.clean == p.usual:
	case missing:
		return fmt.Errorf("%s: there is no folder %s; put PNG or JPEG photographs there, or set %s = %q for the built-in pictures", key, p.clean, key, p.usual)
	case err != nil:
		return fmt.Errorf("%s: %w", key, err)
	case len(names) == 0 && len(rgb.Dangling(p.clean)) > 0:
		return fmt.Errorf("%s: %s holds no picture but links that lead nowhere; mount their disk, or mend them: %s", key, p.clean, rgb.Dangling(p.clean)[0])
	case len(names) == 0 && p.was == nil:
		return fmt.Errorf("%s: the folder %s holds no PNG or JPEG pictures; put photographs there, or remove it and set %s = %q for the built-in pictures", key, p.clean, key, p.usual)
	}
	return nil
}

// checkSame stops before anything is made of other pictures than those that an
// experiment was trained on: copies of those would be thrown away.
func (p part) checkSame(cfg config.Config, exp string) error {
	if p.was == nil {
		return nil
	}
	now, err := dataset.CleanPictures(p.clean)
	none := errors.Is(err, fs.ErrNotExist) || errors.Is(err, dataset.ErrEmpty)
	switch {
	case none && cfg.DownloadDIV2K, errors.Is(err, fs.ErrNotExist) && p.was.Drawn && p.clean == p.usual:
		return nil // to be had again
	case err != nil && !none:
		return err
	}
	if dataset.Continues(*p.was, now, p.name == "Val") {
		return nil
	}
	return fmt.Errorf("%s was trained on %s, and none of them is in %s now; %s", exp, p.was, p.clean, dataset.Remedy(p.name+"CleanDir", exp))
}

// make completes the pictures of a part. Where there are none, pictures of side by side
// pixels are drawn.
func (p part) make(ctx context.Context, d degrade.Degradation, pictures, side int) error {
	if _, err := os.Stat(p.clean); errors.Is(err, fs.ErrNotExist) { // one of the usual folders, or check would have refused it
		if err := drawLeaves(ctx, p.name, p.clean, pictures, side, p.seed); err != nil {
			return err
		}
	}
	if !p.copies {
		cell.Say("✅ %s: each patch is degraded anew when it is cut (%s); no copies are made", p.name, d.Name())
		return nil
	}
	return p.makeDegraded(ctx, d)
}

// checkFolders reports the first folder of clean pictures that will not do.
func checkFolders(cfg config.Config) error {
	for _, p := range parts(cfg) {
		if err := p.check(cfg); err != nil {
			return err
		}
	}
	return nil
}

// sayIfBusy tells why nothing happens: another process may take long, or be stopped.
func sayIfBusy(name, dir string) {
	if derived.Busy(dir) {
		cell.Say("⏳ %s: another process makes pictures in %s; waiting for it", name, dir)
	}
}

// drawLeaves makes the built-in pictures in a folder beside dir, which gets its
// name when it is complete: a folder of clean pictures is never half made.
func drawLeaves(ctx context.Context, name, dir string, n, side int, seed int64) error {
	cell.Say("🍂 %s: no photographs in %s; drawing the built-in set, %d pictures of %d x %d pixels", name, dir, n, side, side)
	err := os.MkdirAll(filepath.Dir(dir), 0o777)
	if durable.MayOnlyRead(err) {
		return fmt.Errorf("no pictures can be drawn in %s (%w); put photographs into a folder of yours and name it, %sCleanDir = \"~/photos/%s\", for example", dir, err, name, strings.ToLower(name))
	}
	if err != nil {
		return err
	}
	unfinished := filepath.Join(filepath.Dir(dir), ".unfinished-"+filepath.Base(dir))
	sayIfBusy(name, unfinished)
	count := cell.NewCounter(name + ": drawn")
	defer count.End()
	err = deadleaves.Folder(ctx, unfinished, n, side, side, seed, count.Set)
	if errors.Is(err, context.Canceled) {
		return errUnfinished
	}
	if err == nil {
		err = os.Rename(unfinished, dir)
	}
	if _, e := os.Stat(dir); err != nil && e == nil {
		return os.RemoveAll(unfinished) // another kernel drew the same pictures at the same time, and was quicker
	}
	return err
}

func (p part) makeDegraded(ctx context.Context, d degrade.Degradation) error {
	sayIfBusy(p.name, p.degraded)
	count := cell.NewCounter(p.name + ": degraded")
	began := time.Now()
	made, err := degrade.Folder(ctx, p.clean, p.degraded, d, p.seed, count.Set)
	count.End()
	switch {
	case errors.Is(err, derived.ErrForeign):
		return p.useForeign(d)
	case errors.Is(err, derived.ErrReadOnly):
		return fmt.Errorf("%w: %sDegradedDir = %q, for example", err, p.name, "~/copies/"+strings.ToLower(p.name))
	case errors.Is(err, derived.ErrMixed):
		return fmt.Errorf("%w; move them away to have copies made in their place, or put all degraded pictures of your own into another folder and name it: %sDegradedDir", err, p.name)
	case ctx.Err() != nil:
		return errUnfinished
	case err != nil:
		return err
	case made == 0:
		cell.Say("✅ %s: degraded copies are complete in %s", p.name, p.degraded)
	default:
		cell.Say("✅ %s: %d degraded copies (%s) made in %s, %.1f s", p.name, made, d.Name(), p.degraded, time.Since(began).Seconds())
		if namedAfterAnother(p.degraded, d) {
			cell.Say("   The folder's name says something else; %sDegradedDir = %q would fit", p.name, config.DegradedDir(d, strings.ToLower(p.name)))
		}
	}
	return nil
}

// useForeign says that degraded pictures of somebody's own are used, if they go
// with the clean ones.
func (p part) useForeign(d degrade.Degradation) error {
	dir := config.DegradedDir(d, strings.ToLower(p.name))
	if filepath.Clean(dir) == filepath.Clean(p.degraded) {
		dir += "_copies"
	}
	other := fmt.Sprintf("%sDegradedDir = %q", p.name, dir)
	if err := dataset.Check(p.degraded, p.clean); err != nil {
		return fmt.Errorf("%s holds degraded pictures that were not made here, and stay as they are, but do not go with those in %s: %w; to have copies made, name another folder: %s",
			p.degraded, p.clean, err, other)
	}
	cell.Say("✅ %s: using the degraded pictures that are in %s; they were not made here and stay as they are", p.name, p.degraded)
	cell.Say("   To have copies made (%s), name another folder: %s", d.Name(), other)
	return nil
}

// namedAfterAnother says whether a folder bears the name of another degradation
// than d, or of another strength.
func namedAfterAnother(dir string, d degrade.Degradation) bool {
	path := "/" + filepath.ToSlash(dir) + "/"
	another := func(kind string) bool { return strings.Contains(path, "/"+kind+"/") }
	return !strings.Contains(path, "/"+d.Name()+"/") && slices.ContainsFunc(degrade.Names(), another)
}
