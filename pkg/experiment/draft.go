package experiment

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

// Draft is an evaluation under way. Its pictures go to a folder of their own, so
// that until [Draft.Commit] the scores and pictures of the evaluation before
// stay as they are, whatever happens. Whenever evaluation_metrics.json exists it
// describes the pictures in restored_images.
type Draft struct {
	Dir     string // for the restored pictures; empty at first
	Warning string // as that of [Lock]
	Kept    []string

	pictures string // the folder restored_images, where a link to it leads
	exp      *Experiment
	lock     *Lock
}

// Names beside restored_images, while pictures are made and while they are exchanged.
const (
	draftSuffix = ".unfinished"
	oldSuffix   = ".old"
)

// Draft begins an evaluation and removes what a killed one left behind. While
// another process evaluates the experiment it is a [LockedError].
func (e *Experiment) Draft() (*Draft, error) {
	lock, err := e.lock(".evaluation.lock", "evaluated")
	if err != nil {
		return nil, err
	}
	d := &Draft{Warning: lock.Warning, exp: e, lock: lock}
	if d.pictures, err = followed(e.RestoredDir()); err == nil {
		d.Dir = d.pictures + draftSuffix
		err = d.clean()
	}
	if err == nil {
		err = os.Mkdir(d.Dir, 0o777)
	}
	if err != nil {
		lock.Release()
		return nil, fmt.Errorf("experiment: %w", err)
	}
	return d, nil
}

// followed is where a link to a folder leads, and any other path itself: people put
// large folders on another disk. Of the folder itself it may be the time of the
// exchange, so it need not be there.
func followed(path string) (string, error) {
	end, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return end, err
	}
	to, err := os.Readlink(path)
	if err != nil {
		return path, nil
	}
	end = to
	if !filepath.IsAbs(end) {
		end = filepath.Join(filepath.Dir(path), end)
	}
	if _, err := os.Stat(filepath.Dir(end)); err != nil {
		return "", fmt.Errorf("%s is a link to %s, which is not there: mount its disk, or remove the link", path, to)
	}
	return end, nil
}

// clean removes what a killed evaluation left: its own pictures. Those of somebody
// else that it had already moved away go back.
func (d *Draft) clean() error {
	_ = d.exp.Sweep() // whether anything can be written there shows below
	for _, left := range []string{d.Dir, d.exp.ScoresCSVPath() + draftSuffix, d.exp.MetricsPath() + draftSuffix} {
		if err := os.RemoveAll(left); err != nil {
			return err
		}
	}
	pictures, old := d.pictures, d.pictures+oldSuffix
	if _, err := os.Lstat(old); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Lstat(pictures); errors.Is(err, fs.ErrNotExist) { // killed in the middle of the exchange
		return os.Rename(old, pictures)
	}
	return d.takeOver(old, pictures, nil)
}

// madeHere is a hidden file among restored pictures: the SHA-256 and the name of
// each that an evaluation made, as sha256sum writes them. Whatever else lies there is
// somebody's.
const madeHere = ".made_here.sha256"

// sign lists the pictures of the draft.
func (d *Draft) sign() error {
	entries, err := os.ReadDir(d.Dir)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, e := range entries {
		sum, err := durable.SHA256(filepath.Join(d.Dir, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%s  %s\n", sum, e.Name())
	}
	return durable.WriteFile(filepath.Join(d.Dir, madeHere), []byte(text.String()))
}

// takeOver moves what evaluations have not made from the folder old to the folder
// pictures, under another name where one has it, and removes old. before are the
// scores that the pictures of old were of: evaluations of earlier versions signed
// nothing else.
func (d *Draft) takeOver(old, pictures string, before *Evaluation) error {
	signed, err := os.ReadFile(filepath.Join(old, madeHere))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lines := "\n" + string(signed)
	ours := func(name string) bool {
		if signed == nil {
			return before != nil && slices.ContainsFunc(before.PerImage, func(im ImageScores) bool { return im.Filename == durable.Printable(name) })
		}
		sum, err := durable.SHA256(filepath.Join(old, name))
		return err == nil && strings.Contains(lines, "\n"+sum+"  "+name+"\n")
	}
	entries, err := os.ReadDir(old)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if name == madeHere || strings.HasPrefix(name, durable.TempPrefix) || e.Type().IsRegular() && ours(name) {
			continue
		}
		to := filepath.Join(pictures, name)
		for n := 1; ; n++ {
			if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
				break
			}
			to = filepath.Join(pictures, fmt.Sprintf("%s.before-%d%s", strings.TrimSuffix(name, filepath.Ext(name)), n, filepath.Ext(name)))
		}
		if err := os.Rename(filepath.Join(old, name), to); err != nil {
			return err
		}
		d.Kept = append(d.Kept, filepath.Base(to))
	}
	return os.RemoveAll(old)
}

// Commit puts the draft's pictures and scores in the place of the evaluation
// before. Files in the folder that no evaluation has made stay there: Kept names
// them. A process killed in the middle leaves an experiment without scores, never
// with those of other pictures.
func (d *Draft) Commit(scores *Evaluation) error {
	pictures, old := d.pictures, d.pictures+oldSuffix
	before, err := LoadEvaluation(d.exp.MetricsPath())
	if err != nil {
		before = scores // deleted, so that it is done again; the names are nearly always the same
	}
	if err := d.sign(); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	// On the disk before anything is removed: it may be full.
	csv, metrics := d.exp.ScoresCSVPath()+draftSuffix, d.exp.MetricsPath()+draftSuffix
	defer func() { _ = errors.Join(os.Remove(csv), os.Remove(metrics)) }() // they have their names by then
	if err := errors.Join(scores.SaveCSV(csv), scores.Save(metrics)); err != nil {
		return err
	}
	if err := os.Remove(d.exp.MetricsPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("experiment: %w", err)
	}
	// On the disk before the pictures change: a power cut must not bring the scores back.
	if err := durable.SyncDir(d.exp.Dir); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	if err := os.Rename(pictures, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("experiment: %w", err)
	}
	if err := os.Rename(d.Dir, pictures); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	if err := durable.SyncDir(filepath.Dir(pictures)); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	if err := os.Rename(csv, d.exp.ScoresCSVPath()); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	if err := os.Rename(metrics, d.exp.MetricsPath()); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	if err := durable.SyncDir(d.exp.Dir); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	if _, err := os.Lstat(old); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := d.takeOver(old, pictures, before); err != nil {
		return fmt.Errorf("experiment: remove the pictures of the evaluation before: %w", err)
	}
	return nil
}

// Close ends the draft. One that was not committed is thrown away, and the
// evaluation before stands.
func (d *Draft) Close() error {
	defer d.lock.Release()
	if err := os.RemoveAll(d.Dir); err != nil {
		return fmt.Errorf("experiment: remove %s: %w", filepath.Base(d.Dir), err)
	}
	return nil
}
