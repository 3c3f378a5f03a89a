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
)

// All returns every experiment under a folder such as "experiments", whatever
// its model and degradation, the newest first. A folder that does not exist
// holds none.
func All(root string) ([]*Experiment, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("experiment: %w", err)
	}
	var found []*Experiment
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // none, or removed a moment ago
		case err != nil:
			return err
		case !d.IsDir() || !stamped.MatchString(d.Name()):
			return nil
		}
		found = append(found, &Experiment{path})
		return fs.SkipDir
	})
	if err != nil {
		return nil, fmt.Errorf("experiment: %w", err)
	}
	slices.SortFunc(found, func(a, b *Experiment) int {
		return cmp.Or(cmp.Compare(b.Name(), a.Name()), cmp.Compare(a.Dir, b.Dir))
	})
	return found, nil
}

// Select returns the experiments under root that any of the patterns means, the
// newest first: "latest", the newest that has a checkpoint; a name; a pattern of names such as "20251230_*"; one
// of places under root such as "unet/gaussian/*"; or the path of a folder
// anywhere. No pattern means all. A pattern that means nothing is a
// [NotFoundError].
func Select(root string, patterns ...string) ([]*Experiment, error) {
	all, err := All(root)
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
	var matches []*Experiment
	for _, e := range all {
		place, err := filepath.Rel(root, e.Dir)
		if err != nil {
			return nil, fmt.Errorf("experiment: %w", err)
		}
		for _, name := range []string{e.Name(), filepath.ToSlash(place)} {
			ok, err := path.Match(pattern, name)
			if err != nil {
				return nil, fmt.Errorf("experiment: %q is no pattern of names: %w", pattern, err)
			}
			if ok {
				matches = append(matches, e)
				break
			}
		}
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
