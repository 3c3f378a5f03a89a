package experiment

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"rekindle/pkg/durable"
	"rekindle/pkg/tree"
)

// All returns every experiment under a folder such as "experiments", whatever
// its model and degradation, the newest first, those with names of a person's own
// before. Links to folders are followed. A folder that does not exist holds none;
// say, which may be nil, is told which could not be looked at.
func All(root string, say func(line string)) ([]*Experiment, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("experiment: %w", err)
	}
	var found []*Experiment
	var folders []fs.FileInfo
	passed := func(why error) {
		if say != nil {
			say(fmt.Sprintf("passed over: %v", why))
		}
	}
	err = tree.Walk(root, func(path string, info fs.FileInfo) error {
		switch {
		case !info.IsDir():
			return nil
		case strings.HasPrefix(filepath.Base(path), ".") && path != root: // unfinished ones, and what belongs to other programs
			return fs.SkipDir
		case !(&Experiment{path}).begun():
			if ours, err := (&Experiment{path}).renamed(); !ours {
				if err != nil { // it may be one
					passed(err)
				}
				return nil
			}
		}
		if err := (&Experiment{path}).closed(); err != nil { // else it would look as if nothing was ever trained there
			passed(err)
			return fs.SkipDir
		}
		// Two links may lead to one experiment.
		if !slices.ContainsFunc(folders, func(other fs.FileInfo) bool { return os.SameFile(info, other) }) {
			found, folders = append(found, &Experiment{path}), append(folders, info)
		}
		return fs.SkipDir
	}, passed)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("experiment: %w", err)
	}
	slices.SortFunc(found, func(a, b *Experiment) int {
		return cmp.Or(cmp.Compare(b.Name(), a.Name()), cmp.Compare(a.Dir, b.Dir))
	})
	return found, nil
}

// begun reports whether a folder that bears a date holds anything of a run: file
// servers keep folders of the same names for thumbnails and indexes.
func (e *Experiment) begun() bool {
	return stamped.MatchString(e.Name()) && slices.ContainsFunc([]string{e.ConfigPath(), e.HistoryPath(), e.CheckpointsDir()}, func(path string) bool {
		_, err := os.Stat(path)
		return !errors.Is(err, fs.ErrNotExist)
	})
}

// closed is why somebody else's experiment cannot be looked at; nil where it can.
func (e *Experiment) closed() error {
	for _, dir := range []string{e.Dir, e.CheckpointsDir()} {
		if _, err := os.ReadDir(dir); errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	if _, err := os.Stat(e.ConfigPath()); errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// renamed reports whether a folder that bears no date is an experiment all the same:
// a person has given it a name. Where what says so cannot be read, err is why.
func (e *Experiment) renamed() (ours bool, err error) {
	if !isExperiment(e) {
		return false, nil
	}
	if _, ours = e.origin(); !ours {
		_, err = durable.ReadText(e.ConfigPath())
	}
	return ours, err
}

// Select returns the experiments under root that any of the patterns means, the
// newest first: "latest", the newest that has a checkpoint; a name; a pattern of names such as "20251230_*"; one
// of places under root such as "unet/gaussian/*"; or the path of a folder
// anywhere. No pattern means all. A pattern that means nothing is a
// [NotFoundError]. say is as for [All].
func Select(root string, say func(line string), patterns ...string) ([]*Experiment, error) {
	all, err := All(root, say)
	if err != nil || len(patterns) == 0 {
		return all, err
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("experiment: %w", err)
	}
	var chosen []*Experiment
	for _, pattern := range patterns {
		matches, err := matching(all, abs, pattern)
		if err != nil {
			return nil, err
		}
		if len(matches) == 0 {
			return nil, notFound(pattern, abs, all)
		}
		for _, e := range matches {
			if !slices.ContainsFunc(chosen, func(c *Experiment) bool { return c.Dir == e.Dir }) {
				chosen = append(chosen, e)
			}
		}
	}
	slices.SortStableFunc(chosen, func(a, b *Experiment) int { return cmp.Compare(b.Name(), a.Name()) })
	return chosen, nil
}

func matching(all []*Experiment, root, pattern string) ([]*Experiment, error) {
	if pattern == Latest {
		counts := func(e *Experiment) bool { return e.strange() == "" }
		i := slices.IndexFunc(all, func(e *Experiment) bool { return counts(e) && e.HasCheckpoint() })
		if i < 0 {
			i = slices.IndexFunc(all, counts)
		}
		if i < 0 {
			return nil, nil
		}
		return all[i : i+1], nil
	}
	if info, err := os.Stat(pattern); err == nil && info.IsDir() && strings.ContainsRune(pattern, filepath.Separator) {
		if e, err := Open(pattern); err == nil && isExperiment(e) {
			return []*Experiment{e}, nil
		}
	}
	var named, matches []*Experiment
	var bad error
	for _, e := range all {
		place, err := filepath.Rel(root, e.Dir)
		if err != nil {
			return nil, fmt.Errorf("experiment: %w", err)
		}
		place = filepath.ToSlash(place)
		if pattern == e.Name() || pattern == place { // either may have brackets
			named = append(named, e)
		}
		byName, err := path.Match(pattern, e.Name())
		byPlace, _ := path.Match(pattern, place)
		if byName || byPlace {
			matches = append(matches, e)
		}
		bad = err
	}
	switch {
	case len(named) > 0:
		return named, nil
	case bad != nil:
		return nil, fmt.Errorf("experiment: %q is no pattern of names: %w", pattern, bad)
	}
	return matches, nil
}

func isExperiment(e *Experiment) bool {
	_, err := os.Stat(e.ConfigPath())
	return err == nil
}

func notFound(pattern, root string, all []*Experiment) error {
	if pattern == Latest {
		return fmt.Errorf("experiment: %w under %s; train one first", ErrNone, root)
	}
	var have []string
	for _, e := range all {
		have = append(have, e.Name())
	}
	slices.SortStableFunc(have, func(a, b string) int { return likeness(b, pattern) - likeness(a, pattern) })
	return &NotFoundError{pattern, root, have}
}
