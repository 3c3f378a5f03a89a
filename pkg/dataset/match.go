package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/text/unicode/norm"

	"rekindle/pkg/rgb"
)

// scene is the two files of a pair and, once measured, their size.
type scene struct {
	stem            string
	degraded, clean string // paths
	w, h            int
}

// MismatchError is returned when degraded and clean pictures do not go together
// one to one. The lists hold file names.
type MismatchError struct {
	DegradedDir, CleanDir         string
	WithoutClean, WithoutDegraded []string
}

func (e *MismatchError) Error() string {
	var parts []string
	if len(e.WithoutClean) > 0 {
		parts = append(parts, fmt.Sprintf("no clean picture in %s for %s", e.CleanDir, some(e.WithoutClean)))
	}
	if len(e.WithoutDegraded) > 0 {
		parts = append(parts, fmt.Sprintf("no degraded picture in %s for %s", e.DegradedDir, some(e.WithoutDegraded)))
	}
	return strings.Join(parts, "; ")
}

// some lists names, but not hundreds.
func some(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// match pairs the pictures of two folders by stem, in the order of names.
func match(degradedDir, cleanDir string) ([]scene, error) {
	degraded, err := listFolder("degraded", degradedDir)
	if err != nil {
		return nil, err
	}
	clean, err := listFolder("clean", cleanDir)
	if err != nil {
		return nil, err
	}
	cleanOf := map[string]string{}
	for _, name := range clean {
		cleanOf[sceneOf(name)] = name
	}
	var scenes []scene
	mismatch := &MismatchError{DegradedDir: degradedDir, CleanDir: cleanDir}
	for _, name := range degraded {
		partner, ok := cleanOf[sceneOf(name)]
		if !ok {
			mismatch.WithoutClean = append(mismatch.WithoutClean, name)
			continue
		}
		delete(cleanOf, sceneOf(name))
		scenes = append(scenes, scene{stem: rgb.Stem(name), degraded: filepath.Join(degradedDir, name), clean: filepath.Join(cleanDir, partner)})
	}
	for _, name := range clean {
		if _, left := cleanOf[sceneOf(name)]; left {
			mismatch.WithoutDegraded = append(mismatch.WithoutDegraded, name)
		}
	}
	if len(mismatch.WithoutClean)+len(mismatch.WithoutDegraded) > 0 {
		return nil, fmt.Errorf("dataset: folders do not match: %w", mismatch)
	}
	return scenes, nil
}

// sceneOf is what the two pictures of a pair have in common: the name without
// ending, however it spells its accents. Copies that went over macOS or a network
// drive have "e" and an accent in place of "é".
func sceneOf(name string) string { return norm.NFC.String(rgb.Stem(name)) }

func listFolder(kind, dir string) ([]string, error) {
	names, err := rgb.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("dataset: no folder of %s pictures at %s: %w", kind, dir, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("dataset: %s folder: %w", kind, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("dataset: %s folder %s: %w", kind, dir, ErrEmpty)
	}
	byStem := map[string]string{}
	for _, name := range names {
		if other, taken := byStem[sceneOf(name)]; taken {
			return nil, fmt.Errorf("dataset: %s folder %s holds both %s and %s: pairs are found by the name without ending, rename one", kind, dir, other, name)
		}
		byStem[sceneOf(name)] = name
	}
	return names, nil
}

// Check reports what [Open] would have against two folders, as far as names and
// the files' headers tell.
func Check(degradedDir, cleanDir string) error {
	scenes, err := match(degradedDir, cleanDir)
	if err != nil {
		return err
	}
	return measure(scenes)
}

// measure reads the sizes of all scenes from the files' headers.
func measure(scenes []scene) error {
	return parallel(len(scenes), func(i int) error {
		s := &scenes[i]
		var err error
		if s.w, s.h, err = rgb.Size(s.clean); err != nil {
			return fmt.Errorf("dataset: %w", err)
		}
		w, h, err := rgb.Size(s.degraded)
		if err != nil {
			return fmt.Errorf("dataset: %w", err)
		}
		if w != s.w || h != s.h {
			return fmt.Errorf("dataset: a pair differs in size: %w",
				&SizeError{Degraded: s.degraded, Clean: s.clean, DegradedW: w, DegradedH: h, CleanW: s.w, CleanH: s.h})
		}
		return nil
	})
}
