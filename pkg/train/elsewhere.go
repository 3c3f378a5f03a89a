package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/experiment"
)

// hold keeps the folder of checkpoints open, so that it is found again under
// another name.
func (w *saver) hold() error {
	f, err := os.Open(w.exp.CheckpointsDir())
	if err != nil {
		return err
	}
	if w.folder != nil {
		w.folder.Close()
	}
	w.folder = f
	return nil
}

// letGo ends hold.
func (w *saver) letGo() {
	if w.folder != nil {
		w.folder.Close()
	}
}

// follow finds the experiment where somebody has renamed or moved it while it is
// trained, and makes its folder again where somebody has removed it.
func (w *saver) follow() error {
	if w.folder == nil {
		return nil
	}
	ours, err := w.folder.Stat()
	if err != nil {
		return nil // saving says what is wrong
	}
	dir := w.exp.CheckpointsDir()
	there, err := os.Stat(dir)
	if err == nil && os.SameFile(ours, there) {
		return nil
	}
	now, linkErr := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", w.folder.Fd()))
	moved, statErr := os.Stat(now)
	if linkErr == nil && statErr == nil && os.SameFile(ours, moved) && filepath.Base(now) == filepath.Base(dir) {
		w.exp = &experiment.Experiment{Dir: filepath.Dir(now)}
		w.report.Message("⚠️  The experiment's folder is called %s now: training saves there", w.exp.Dir)
		return nil
	}
	if err == nil {
		return fmt.Errorf("%s was replaced by another folder while it was trained", dir)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if _, err := os.Stat(w.exp.ConfigPath()); errors.Is(err, fs.ErrNotExist) {
		if err := w.cfg.Save(w.exp.ConfigPath()); err != nil {
			w.report.Message("⚠️  %v", err)
		}
	}
	w.report.Message("⚠️  %s was removed while it was trained; it is made again, and holds what is saved from here on", dir)
	return w.hold()
}

// elsewhere writes what a run is stopped with to the first other place that takes it,
// after the experiment's own folder did not, as why says.
func (w *saver) elsewhere(s *checkpoint.State, name string, why error) error {
	for _, place := range w.otherPlaces() {
		path, err := filepath.Abs(filepath.Join(place, w.exp.Name()+"_"+name))
		if err != nil {
			continue
		}
		if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
			continue
		}
		if checkpoint.Save(path, s) != nil {
			continue
		}
		w.file, w.saved = path, w.now()
		w.report.Message("⚠️  Nothing can be saved in %s (%s)", w.exp.CheckpointsDir(), strings.TrimPrefix(why.Error(), "train: "))
		w.report.Message("   💾 What was trained is saved as %s", path)
		w.report.Message("   ▶️  When that folder can be written again, move the file into it; cfg.ResumeFromCheckpoint = true goes on from there")
		return nil
	}
	return why
}

// otherPlaces are the folders that take what the experiment's own cannot hold.
func (t *task) otherPlaces() []string {
	places := []string{filepath.Dir(t.exp.Dir), t.cfg.ExperimentsDir, "."}
	if home, err := os.UserHomeDir(); err == nil {
		places = append(places, home)
	}
	return append(places, os.TempDir())
}

// sayNewerElsewhere tells of a checkpoint that [saver.elsewhere] wrote, if nobody has moved
// it into the experiment and it is newer than what training starts from.
func (b *start) sayNewerElsewhere() {
	newest, where := b.state.Cursor, ""
	for _, place := range b.otherPlaces() {
		files, _ := os.ReadDir(place) // one that cannot be read was not written either
		for _, f := range files {
			if !strings.HasPrefix(f.Name(), b.exp.Name()+"_") || !strings.HasSuffix(f.Name(), ".pth") {
				continue
			}
			path := filepath.Join(place, f.Name())
			if at, err := checkpoint.Peek(path); err == nil && at.Compare(newest) > 0 {
				newest, where = at, path
			}
		}
	}
	if where == "" {
		return
	}
	if path, err := filepath.Abs(where); err == nil {
		where = path
	}
	b.report.Message("⚠️  %s holds newer training, saved when this experiment's folder could not be written: epoch %d", where, newest.Epoch)
	b.report.Message("   ▶️  To go on from there, stop, move it into %s and start again", b.exp.CheckpointsDir())
}
