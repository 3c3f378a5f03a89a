package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
)

// LoadBest loads best_model.pth. Where it is missing or damaged it is first made
// from the newest whole checkpoint, and this is said in the guide's words; a
// damaged one is kept under another name. A folder without a whole checkpoint is
// an error.
func LoadBest(dir string, say func(line string)) (*State, error) {
	s, err := Load(Path(dir, Best))
	if !canBeMade(err) {
		return s, err
	}
	if s, err = makeBest(dir, err, say); s != nil || err != nil {
		return s, err
	}
	return Load(Path(dir, Best))
}

// EnsureBest does what [LoadBest] does without reading the tensors of a
// best_model.pth that is there: it takes milliseconds, and finds a file that is
// cut off, but not changed numbers.
func EnsureBest(dir string, say func(line string)) error {
	_, err := peek(Path(dir, Best))
	if !canBeMade(err) {
		return err
	}
	_, err = makeBest(dir, err, say)
	return err
}

func canBeMade(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrDamaged) }

// makeBest makes best_model.pth, which is not there or damaged, as why says. It
// returns a nil State without an error where training has saved one meanwhile.
func makeBest(dir string, why error, say func(string)) (*State, error) {
	best, damaged := Path(dir, Best), errors.Is(why, ErrDamaged)
	s, from, bad, err := choose(dir, Best)
	switch {
	case err != nil:
		return nil, err
	case s == nil && (damaged || len(bad) > 0):
		return nil, fmt.Errorf("%w; there is no whole checkpoint in %s to make it from: train again in a new experiment", why, dir)
	case s == nil:
		return nil, fmt.Errorf("checkpoint: %s has no checkpoint to make best_model.pth from; train first", dir)
	}
	for _, e := range bad {
		say("⚠️  " + passedOver(e, ""))
	}
	if damaged {
		if s, err := Load(best); err == nil {
			return s, nil
		}
		kept, err := experiment.SetAside(best)
		if durable.MayOnlyRead(err) {
			say(fmt.Sprintf("⚠️  best_model.pth is damaged (%s), and the folder may only be read: %s is used instead", whyDamaged(why), from.Name()))
			return s, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w, and it cannot be set aside: %w", why, err)
		}
		say(fmt.Sprintf("⚠️  best_model.pth is damaged (it is kept as %s): %s", filepath.Base(kept), whyDamaged(why)))
	} else {
		say(fmt.Sprintf("⚠️  best_model.pth not found in %s", dir))
	}
	say(fmt.Sprintf("   📋 Found alternative checkpoint: %s", from.Name()))
	say("   🔄 Copying to best_model.pth...")
	err = durable.CopyNew(from.Path, best)
	if durable.MayOnlyRead(err) {
		say("   ℹ️  The folder may only be read: that checkpoint itself is used")
		return s, nil
	}
	if errors.Is(err, fs.ErrExist) {
		say("   ✅ Training has saved best_model.pth in the meantime")
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	say("   ✅ Successfully created best_model.pth")
	say("   ⚠️  Note: This may not be the actual best model, just the most recent checkpoint")
	return s, nil
}
