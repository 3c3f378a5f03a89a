package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rekindle/pkg/durable"
)

// Folder is where the checkpoints of a run lie.
type Folder string

// Names of the files in an experiment's checkpoints folder.
const (
	Best = "best_model.pth"      // the State with the lowest validation loss, for inference
	Last = "last_checkpoint.pth" // the newest State that was saved in the normal course of things
)

// Periodic is the name of the checkpoint kept every SaveEvery epochs.
func Periodic(epoch int) string { return fmt.Sprintf("%s%03d.pth", periodicPrefix, epoch) }

const periodicPrefix = "checkpoint_epoch_"

// Emergency is the name of what is saved when a run stops in the middle of an
// epoch; why is "oom", "interrupt" or another short word.
func Emergency(why string, epoch int) string {
	return fmt.Sprintf("%s%s_epoch_%d.pth", emergencyPrefix, why, epoch)
}

const emergencyPrefix = "emergency_checkpoint_"

// Entry is one checkpoint file of a folder, as far as its pickle tells: the
// tensors have not been looked at.
type Entry struct {
	Path string
	Cursor
	Err error // the file is not a readable checkpoint
}

// Name is the file's name without the folder.
func (e Entry) Name() string { return filepath.Base(e.Path) }

// List returns the checkpoints of a folder, newest State first whatever their
// names are, unreadable ones last. A folder that does not exist is empty.
func (dir Folder) List() ([]Entry, error) {
	files, err := os.ReadDir(string(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, dangling(string(dir))
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	var entries []Entry
	for _, f := range files {
		// Hidden files are unfinished, or other programs': "._last_checkpoint.pth" holds what macOS knows of that file.
		if !strings.HasSuffix(f.Name(), ".pth") || strings.HasPrefix(f.Name(), ".") {
			continue
		}
		e := Entry{Path: dir.Path(f.Name())}
		if e.Cursor, e.Err = Peek(e.Path); errors.Is(e.Err, fs.ErrNotExist) {
			continue // removed a moment ago
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, newestFirst)
	return entries, nil
}

func newestFirst(a, b Entry) int {
	if (a.Err == nil) != (b.Err == nil) {
		if a.Err == nil {
			return -1
		}
		return 1
	}
	// The same State under several names: the one that is for going on.
	return cmp.Or(b.Compare(a.Cursor), rank(b)-rank(a))
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
// is an error, so that nobody trains over them by accident. So is a file that
// may be whole and cannot be read: it may be the newest.
func (dir Folder) Newest(report func(line string)) (*State, Entry, error) {
	return dir.newest(report, func(string) (string, error) { return "", nil })
}

// Recover is [Folder.Newest] for whoever is going to save into the folder: where there
// is a good State, damaged files get another name, which no checkpoint has, so
// that they are not replaced.
func (dir Folder) Recover(report func(line string)) (*State, Entry, error) {
	return dir.newest(report, func(path string) (string, error) { return durable.Quarantine(path, durable.Invalid) })
}

func (dir Folder) newest(report func(string), keep func(path string) (as string, err error)) (*State, Entry, error) {
	s, from, bad, err := dir.choose("")
	if err != nil {
		return nil, Entry{}, err
	}
	for _, e := range bad {
		kept := ""
		if s != nil && !copied.MatchString(e.Name()) {
			if kept, err = keep(e.Path); err != nil {
				return nil, Entry{}, fmt.Errorf("checkpoint: %s is damaged and cannot be set aside: %w", e.Path, err)
			}
		}
		report(passedOver(e, kept))
	}
	if s == nil && len(bad) > 0 {
		return nil, Entry{}, fmt.Errorf("checkpoint: none of the %d checkpoints in %s can be read; move them away to start from the beginning", len(bad), dir)
	}
	return s, from, nil
}

// copied matches names that programs give to copies, when they synchronise folders or
// copy files: "last_checkpoint (conflicted copy 2026-01-01).pth", "best_model (1).pth",
// "last_checkpoint.sync-conflict-20260101.pth", "best_model - Copy.pth". Damage to one
// is none to the original.
var copied = regexp.MustCompile(`(?i)conflict|\(\d+\)|[- ]copy\b|~`)

func passedOver(e Entry, keptAs string) string {
	if copied.MatchString(e.Name()) {
		return fmt.Sprintf("%s is a copy that some program made, and not a whole one: it is passed over and stays", e.Name())
	}
	kept := "it is kept"
	if keptAs != "" {
		kept += " as " + filepath.Base(keptAs)
	}
	return fmt.Sprintf("%s is damaged and is passed over (%s): %s", e.Name(), kept, whyDamaged(e.Err))
}

// choose loads the newest whole checkpoint of a folder, nil if there is none,
// and lists the damaged ones. The file named except is left out.
func (dir Folder) choose(except string) (s *State, from Entry, bad []Entry, err error) {
	entries, err := dir.List()
	for _, e := range entries {
		if e.Name() == except {
			continue
		}
		if e.Err == nil && s == nil {
			if s, e.Err = Load(e.Path); e.Err == nil {
				from = e
			}
		}
		switch {
		case errors.Is(e.Err, fs.ErrNotExist): // removed a moment ago
		case errors.Is(e.Err, ErrDamaged):
			bad = append(bad, e)
		case e.Err != nil:
			return nil, Entry{}, nil, e.Err
		}
	}
	return s, from, bad, err
}

// RemoveSuperseded removes the emergency checkpoints of earlier moments than
// last_checkpoint.pth: each is as large as that one, and none would be resumed
// from any more. Call it when that one is on the disk and known to be of use: the
// way back from spoilt weights may lead over an earlier moment. Files that cannot
// be read stay.
func (dir Folder) RemoveSuperseded() error {
	files, err := os.ReadDir(string(dir))
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	files = slices.DeleteFunc(files, func(f os.DirEntry) bool {
		return !strings.HasPrefix(f.Name(), emergencyPrefix) || !strings.HasSuffix(f.Name(), ".pth")
	})
	if len(files) == 0 {
		return nil
	}
	last, err := Peek(dir.Path(Last))
	if err != nil {
		return nil
	}
	for _, f := range files {
		path := dir.Path(f.Name())
		if at, err := Peek(path); err != nil || at.Compare(last) >= 0 {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
	return nil
}

// Prune removes all but the last keep of the checkpoints that [Periodic] names, up
// to an epoch: later ones are not of the run that has come to it. Call it when
// last_checkpoint.pth of that epoch is on the disk.
func (dir Folder) Prune(epoch, keep int) error {
	files, err := os.ReadDir(string(dir))
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	var epochs []int
	for _, f := range files {
		number := strings.TrimSuffix(strings.TrimPrefix(f.Name(), periodicPrefix), ".pth")
		if n, err := strconv.Atoi(number); err == nil && f.Name() == Periodic(n) && n <= epoch {
			epochs = append(epochs, n)
		}
	}
	slices.Sort(epochs)
	for _, n := range epochs[:max(len(epochs)-keep, 0)] {
		if err := os.Remove(dir.Path(Periodic(n))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
	return nil
}

// Path is where a checkpoint of that name lies.
func (dir Folder) Path(name string) string { return filepath.Join(string(dir), name) }
