package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rekindle/pkg/durable"
)

// Names of the files in an experiment's checkpoints folder.
const (
	Best = "best_model.pth"      // the State with the lowest validation loss, for inference
	Last = "last_checkpoint.pth" // the newest State that was saved in the normal course of things
)

// Periodic is the name of the checkpoint kept every SaveEvery epochs.
func Periodic(epoch int) string { return fmt.Sprintf("checkpoint_epoch_%03d.pth", epoch) }

// Emergency is the name of what is saved when a run stops in the middle of an
// epoch; why is "oom", "interrupt" or another short word.
func Emergency(why string, epoch int) string {
	return fmt.Sprintf("emergency_checkpoint_%s_epoch_%d.pth", why, epoch)
}

// Entry is one checkpoint file of a folder, as far as its pickle tells: the
// tensors have not been looked at.
type Entry struct {
	Path            string
	Epoch, Position int   // as in [State]
	Err             error // the file is not a readable checkpoint
}

// Name is the file's name without the folder.
func (e Entry) Name() string { return filepath.Base(e.Path) }

// List returns the checkpoints of a folder, newest State first whatever their
// names are, unreadable ones last. A folder that does not exist is empty.
func List(dir string) ([]Entry, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	var entries []Entry
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".pth") || strings.HasPrefix(f.Name(), durable.TempPrefix) {
			continue
		}
		e := Entry{Path: filepath.Join(dir, f.Name())}
		e.Epoch, e.Position, e.Err = peek(e.Path)
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, newestFirst)
	return entries, nil
}

func newestFirst(a, b Entry) int {
	switch {
	case (a.Err == nil) != (b.Err == nil):
		if a.Err == nil {
			return -1
		}
		return 1
	case a.Epoch != b.Epoch:
		return b.Epoch - a.Epoch
	case a.Position != b.Position:
		return b.Position - a.Position
	}
	// The same State under several names: the one that is for going on.
	return rank(b) - rank(a)
}

func rank(e Entry) int {
	switch e.Name() {
	case Last:
		return 2
	case Best: // may be a copy, made for inference
		return 0
	}
	return 1
}

// Newest loads the newest State of a folder whose file is whole. Damaged files
// are reported, kept and passed over. A nil State without an error means that
// the folder holds no checkpoint at all; a folder that holds only damaged ones
// is an error, so that nobody trains over them by accident.
func Newest(dir string, report func(line string)) (*State, Entry, error) {
	entries, err := List(dir)
	if err != nil || len(entries) == 0 {
		return nil, Entry{}, err
	}
	var newest *State
	var from Entry
	for i, e := range entries {
		if e.Err == nil && newest == nil {
			newest, entries[i].Err = Load(e.Path)
			from = entries[i]
		}
		if err := entries[i].Err; err != nil {
			report(fmt.Sprintf("%s is damaged and is passed over (it is kept): %v", e.Name(), err))
		}
	}
	if newest == nil {
		return nil, Entry{}, fmt.Errorf("checkpoint: none of the %d checkpoints in %s can be read; move them away to start from the beginning", len(entries), dir)
	}
	return newest, from, nil
}

// EnsureBest makes best_model.pth from the newest checkpoint where it is
// missing, and says so in the guide's words. A folder without a readable
// checkpoint is an error.
func EnsureBest(dir string, say func(line string)) error {
	best := Path(dir, Best)
	if _, err := os.Stat(best); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, err := List(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Err != nil {
			continue
		}
		say(fmt.Sprintf("⚠️  best_model.pth not found in %s", dir))
		say(fmt.Sprintf("   📋 Found alternative checkpoint: %s", e.Name()))
		say("   🔄 Copying to best_model.pth...")
		if err := durable.Copy(e.Path, best); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
		say("   ✅ Successfully created best_model.pth")
		say("   ⚠️  Note: This may not be the actual best model, just the most recent checkpoint")
		return nil
	}
	return fmt.Errorf("checkpoint: %s has no checkpoint to make best_model.pth from; train first", dir)
}

// Path is where a checkpoint of that name lies.
func Path(dir, name string) string { return filepath.Join(dir, name) }
