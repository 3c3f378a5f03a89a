package experiment

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"rekindle/pkg/durable"
	"rekindle/pkg/internal/disk"
)

func put(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("picture"), 0o666); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			out = append(out, e.Name())
		}
	}
	return out
}

// evaluated is an experiment whose evaluation is about the pictures a and b.
func evaluated(t *testing.T) *Experiment {
	t.Helper()
	e := create(t, settings(t), noon)
	d, err := e.Draft()
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(d.Dir, "a.png"))
	put(t, filepath.Join(d.Dir, "b.png"))
	if err := d.Commit(&Evaluation{NImages: 2}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return e
}

func pictures(t *testing.T, e *Experiment) (files []string, scored int) {
	t.Helper()
	scores, err := LoadEvaluation(e.MetricsPath())
	if err != nil {
		t.Fatal(err)
	}
	return names(t, e.RestoredDir()), scores.NImages
}

func TestANewEvaluationReplacesPicturesAndScoresTogether(t *testing.T) {
	e := evaluated(t)
	d, err := e.Draft()
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(d.Dir, "c.png"))
	if files, n := pictures(t, e); n != 2 || len(files) != 2 {
		t.Errorf("while the new one is made, %d pictures are scored and %q lie there; want the two before", n, files)
	}
	if err := d.Commit(&Evaluation{NImages: 1}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if files, n := pictures(t, e); n != 1 || !slices.Equal(files, []string{"c.png"}) {
		t.Errorf("%d pictures are scored and %q lie there, want c.png alone", n, files)
	}
	for _, name := range names(t, e.Dir) {
		if strings.HasPrefix(name, "restored_images.") {
			t.Errorf("%s is left behind", name)
		}
	}
}

func TestAnEvaluationThatEndsEarlyChangesNothing(t *testing.T) {
	e := evaluated(t)
	d, err := e.Draft()
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(d.Dir, "c.png"))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if files, n := pictures(t, e); n != 2 || !slices.Equal(files, []string{"a.png", "b.png"}) {
		t.Errorf("%d pictures are scored and %q lie there, want what was there before", n, files)
	}
}

// Wherever a commit ends, there are no scores of other pictures.
func TestScoresNeverStandBesideOtherPictures(t *testing.T) {
	e := evaluated(t)
	d, err := e.Draft()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	put(t, filepath.Join(d.Dir, "c.png"))
	// A folder that cannot be renamed onto: what a commit killed before would leave.
	if err := os.MkdirAll(filepath.Join(e.RestoredDir()+oldSuffix, "full"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(&Evaluation{NImages: 1}); err == nil {
		t.Fatal("the commit could not be stopped")
	}
	if _, err := LoadEvaluation(e.MetricsPath()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("scores after a commit that failed: %v, want none", err)
	}
}

func TestAKilledEvaluationIsClearedAwayByTheNext(t *testing.T) {
	e := evaluated(t)
	for _, suffix := range []string{draftSuffix, oldSuffix} {
		if err := os.Mkdir(e.RestoredDir()+suffix, 0o777); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(e.RestoredDir()+suffix, "half.png"))
	}
	var half []string // of scores, and of what another cell of the notebook was killed in
	if err := os.MkdirAll(e.CourseDir(), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{e.Dir, e.CheckpointsDir(), e.SamplesDir(), e.CourseDir()} {
		half = append(half, filepath.Join(dir, durable.TempPrefix+"half"))
		put(t, half[len(half)-1])
	}
	d, err := e.Draft()
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, d.Dir); len(got) > 0 {
		t.Errorf("a new draft holds %q, want nothing", got)
	}
	if _, err := os.Stat(e.RestoredDir() + oldSuffix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old pictures are still there: %v", err)
	}
	for _, path := range half {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	_, err = e.Draft()
	var locked *LockedError
	if !errors.As(err, &locked) || !strings.Contains(err.Error(), "is being evaluated by pid") {
		t.Errorf("a second evaluation at the same time: got %v, want who evaluates", err)
	}
	if lock, err := e.Lock(); err != nil {
		t.Errorf("training is locked out by an evaluation: %v", err)
	} else {
		lock.Release()
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatAPersonPutAmongRestoredPicturesStays(t *testing.T) {
	for _, when := range []string{"signed", "by an earlier version", "scores deleted", "killed before", "killed in the exchange"} {
		e := evaluated(t)
		write := func(name, text string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(e.RestoredDir(), name), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		write("notes.txt", "mine")
		write("mine.png", "mine")
		if err := os.Mkdir(filepath.Join(e.RestoredDir(), "crops"), 0o777); err != nil {
			t.Fatal(err)
		}
		want := []string{"a.png", "crops", "mine.png", "notes.txt"} // b.png was of the evaluation before
		switch when {
		case "signed":
			write("a.png", "retouched")
			want = []string{"a.before-1.png", "a.png", "crops", "mine.png", "notes.txt"}
		case "by an earlier version":
			os.Remove(filepath.Join(e.RestoredDir(), madeHere))
			scores := &Evaluation{NImages: 2, Summary: Summary{PerImage: []ImageScores{{Filename: "a.png"}, {Filename: "b.png"}}}}
			if err := scores.Save(e.MetricsPath()); err != nil {
				t.Fatal(err)
			}
		case "scores deleted":
			os.Remove(e.MetricsPath())
		case "killed before": // with its own pictures made
			if err := os.Rename(e.RestoredDir(), e.RestoredDir()+oldSuffix); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(e.RestoredDir(), 0o777); err != nil {
				t.Fatal(err)
			}
		case "killed in the exchange":
			os.Remove(e.MetricsPath())
			if err := os.Rename(e.RestoredDir(), e.RestoredDir()+oldSuffix); err != nil {
				t.Fatal(err)
			}
		}
		d, err := e.Draft()
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(d.Dir, "a.png"))
		if err := d.Commit(&Evaluation{NImages: 1}); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if got := names(t, e.RestoredDir()); !slices.Equal(got, want) {
			t.Errorf("%s: there are %q, want %q", when, got, want)
		}
		if text, err := os.ReadFile(filepath.Join(e.RestoredDir(), "a.png")); err != nil || string(text) != "picture" {
			t.Errorf("%s: the new picture holds %q (%v)", when, text, err)
		}
		if text, _ := os.ReadFile(filepath.Join(e.RestoredDir(), "mine.png")); string(text) != "mine" {
			t.Errorf("%s: mine.png holds %q", when, text)
		}
		if _, err := os.Stat(e.RestoredDir() + oldSuffix); err == nil {
			t.Errorf("%s: the folder of before is still there", when)
		}
	}
}

func TestAFullDiskLeavesTheEvaluationBefore(t *testing.T) {
	cfg := settings(t)
	cfg.ExperimentsDir = disk.Small(t, "2m")
	e := create(t, cfg, noon)
	evaluate := func(picture string, fill bool) error {
		t.Helper()
		d, err := e.Draft()
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(d.Dir, picture))
		if fill {
			defer disk.Fill(t, cfg.ExperimentsDir)()
		}
		err = d.Commit(&Evaluation{NImages: len(picture)})
		return errors.Join(err, d.Close())
	}
	if err := evaluate("a.png", false); err != nil {
		t.Fatal(err)
	}
	if err := evaluate("other.png", true); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want no space left on device", err)
	}
	if files, scored := pictures(t, e); !slices.Equal(files, []string{"a.png"}) || scored != len("a.png") {
		t.Errorf("%q are there, and %d scored; want what was before", files, scored)
	}
	if err := evaluate("other.png", false); err != nil {
		t.Error(err)
	}
	if files, scored := pictures(t, e); !slices.Equal(files, []string{"other.png"}) || scored != len("other.png") {
		t.Errorf("with room again %q are there, and %d scored", files, scored)
	}
}

// People put large folders on another disk and leave a link.
func TestRestoredPicturesMayLieBehindALink(t *testing.T) {
	e := evaluated(t)
	there := filepath.Join(disk.Small(t, "1m"), "there")
	again := func() error {
		d, err := e.Draft()
		if err != nil {
			return err
		}
		put(t, filepath.Join(d.Dir, "a.png"))
		return errors.Join(d.Commit(&Evaluation{NImages: 1}), d.Close())
	}
	if err := os.CopyFS(there, os.DirFS(e.RestoredDir())); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(there, "mine.txt"))
	if err := errors.Join(os.RemoveAll(e.RestoredDir()), os.Symlink(there, e.RestoredDir())); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := again(); err != nil {
			t.Fatal(err)
		}
		if files, _ := pictures(t, e); !slices.Equal(files, []string{"a.png", "mine.txt"}) || !slices.Equal(names(t, there), files) {
			t.Errorf("%q behind the link, %q at its end", files, names(t, there))
		}
	}
	// Killed in the middle of the exchange.
	if err := os.Rename(there, there+oldSuffix); err != nil {
		t.Fatal(err)
	}
	if err := again(); err != nil || !slices.Equal(names(t, there), []string{"a.png", "mine.txt"}) || !slices.Equal(names(t, filepath.Dir(there)), []string{"there"}) {
		t.Errorf("%v, %q", err, names(t, filepath.Dir(there)))
	}
	// The disk is not mounted.
	if err := errors.Join(os.Remove(e.RestoredDir()), os.Symlink("/none/there", e.RestoredDir())); err != nil {
		t.Fatal(err)
	}
	if err := again(); err == nil || !strings.Contains(err.Error(), "is a link to /none/there, which is not there: mount its disk") {
		t.Errorf("got %v", err)
	}
	if _, err := LoadEvaluation(e.MetricsPath()); err != nil {
		t.Errorf("the scores are gone: %v", err)
	}
}
