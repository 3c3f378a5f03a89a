package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"rekindle/pkg/durable"
)

// LoadBest loads best_model.pth. Where it is missing or damaged it is first made
// from the newest whole checkpoint, and this is said in the guide's words; a
// damaged one is kept under another name. Where no epoch was ever validated there is no
// best: the State of the newest checkpoint is returned, and no file is made. A folder
// without a whole checkpoint is an error.
func (dir Folder) LoadBest(say func(line string)) (*State, error) {
	s, err := Load(dir.Path(Best))
	if !canBeMade(err) {
		return s, err
	}
	s, from, err := dir.makeBest(err, say)
	if s != nil && s.neverValidated() {
		say(fmt.Sprintf("ℹ️  No epoch is validated yet, so there is no best model: the weights are those of %s, %s", from.Name(), from.Cursor))
	}
	if s != nil || err != nil {
		return s, err
	}
	return Load(dir.Path(Best))
}

// EnsureBest does what [Folder.LoadBest] does without reading the tensors of a
// best_model.pth that is there: it takes milliseconds, and finds a file that is
// cut off, but not changed numbers.
func (dir Folder) EnsureBest(say func(line string)) error {
	_, err := Peek(dir.Path(Best))
	if !canBeMade(err) {
		return err
	}
	_, _, err = dir.makeBest(err, say)
	return err
}

func canBeMade(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrDamaged) }

// neverValidated reports that no epoch up to the State was. Files made by PyTorch do
// not say.
func (s *State) neverValidated() bool {
	return s.Config.Model != "" && !s.HasBest() && s.History.Validated() == 0
}

// makeBest makes best_model.pth, which is not there or damaged, as why says, from a
// State that it returns. Where that was never validated it makes nothing. It
// returns a nil State without an error where training has saved one meanwhile.
func (dir Folder) makeBest(why error, say func(string)) (s *State, from Entry, err error) {
	best, damaged := dir.Path(Best), errors.Is(why, ErrDamaged)
	s, from, bad, err := dir.choose(Best)
	switch {
	case err != nil:
		return nil, from, err
	case s == nil && (damaged || len(bad) > 0):
		return nil, from, fmt.Errorf("%w; there is no whole checkpoint in %s to make it from: train again in a new experiment", why, dir)
	case s == nil:
		return nil, from, fmt.Errorf("checkpoint: %s has no checkpoint to make best_model.pth from; train first", dir)
	}
	for _, e := range bad {
		say("⚠️  " + passedOver(e, ""))
	}
	if damaged {
		if s, err := Load(best); err == nil {
			return s, from, nil
		}
		kept, err := durable.Quarantine(best, durable.Invalid)
		if durable.MayOnlyRead(err) {
			say(fmt.Sprintf("⚠️  best_model.pth is damaged (%s), and the folder may only be read: %s is used instead", whyDamaged(why), from.Name()))
			return s, from, nil
		}
		if err != nil {
			return nil, from, fmt.Errorf("%w, and it cannot be set aside: %w", why, err)
		}
		say(fmt.Sprintf("⚠️  best_model.pth is damaged (it is kept as %s): %s", filepath.Base(kept), whyDamaged(why)))
	}
	if s.neverValidated() {
		return s, from, nil
	}
	if !damaged {
		say(fmt.Sprintf("⚠️  best_model.pth not found in %s", dir))
	}
	say(fmt.Sprintf("   📋 Found alternative checkpoint: %s", from.Name()))
	say("   🔄 Copying to best_model.pth...")
	err = durable.CopyNew(from.Path, best)
	if durable.MayOnlyRead(err) {
		say("   ℹ️  The folder may only be read: that checkpoint itself is used")
		return s, from, nil
	}
	if errors.Is(err, fs.ErrExist) {
		say("   ✅ Training has saved best_model.pth in the meantime")
		return nil, from, nil
	}
	if err != nil {
		return nil, from, fmt.Errorf("checkpoint: %w", err)
	}
	say("   ✅ Successfully created best_model.pth")
	say("   ⚠️  Note: This may not be the actual best model, just the most recent checkpoint")
	return s, from, nil
}
