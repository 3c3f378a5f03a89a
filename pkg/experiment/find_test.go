package experiment

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/config"
)

// trained gives an experiment a checkpoint, as far as names tell.
func trained(t *testing.T, e *Experiment) *Experiment {
	t.Helper()
	if err := os.WriteFile(filepath.Join(e.CheckpointsDir(), "last_checkpoint.pth"), []byte("PK"), 0o666); err != nil {
		t.Fatal(err)
	}
	return e
}

// copied copies an experiment's folder to one of another name beside it.
func copied(t *testing.T, e *Experiment, name string) {
	t.Helper()
	if err := os.CopyFS(filepath.Join(filepath.Dir(e.Dir), name), os.DirFS(e.Dir)); err != nil {
		t.Fatal(err)
	}
}

func TestLatestIsTheNewestThatHasSomethingToGoOnWith(t *testing.T) {
	cfg := settings(t)
	older := trained(t, create(t, cfg, noon))
	want := trained(t, create(t, cfg, noon.Add(time.Hour)))
	parent := filepath.Dir(want.Dir)
	other := cfg
	other.ExperimentName = "other"
	others := trained(t, create(t, other, noon.Add(2*time.Hour)))
	copied(t, want, want.Name()+"_backup")
	copied(t, older, "20260102_000000_bilinear")
	copied(t, older, "99999999_999999_bilinear")
	empty := create(t, cfg, noon.Add(3*time.Hour))
	failed := create(t, cfg, noon.Add(4*time.Hour)) // on a full disk
	for _, name := range []string{"last_checkpoint.pth", ".rekindle-tmp-last_checkpoint.pth"} {
		if err := os.WriteFile(filepath.Join(failed.CheckpointsDir(), name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	foreign := "20260101_000000_bilinear"
	if err := os.MkdirAll(filepath.Join(parent, foreign, "checkpoints"), 0o777); err != nil {
		t.Fatal(err)
	}
	trained(t, &Experiment{filepath.Join(parent, foreign)})
	for _, resume := range []string{Latest, Auto, ""} {
		cfg.ResumeExperiment = resume
		got, passed, err := Choose(cfg)
		if err != nil || got.Dir != want.Dir {
			t.Fatalf("%q: got %v, %v, want %s", resume, got, err, want.Name())
		}
		why := map[string]string{}
		for _, p := range passed {
			why[p.Name] = p.Why
		}
		for name, part := range map[string]string{
			"99999999_999999_bilinear": "date", "20260102_000000_bilinear": "a copy of " + older.Name(), want.Name() + "_backup": "a copy of " + want.Name(),
			foreign: "did not make", empty.Name(): "no checkpoint", failed.Name(): "no checkpoint", others.Name(): `not called "bilinear"`,
		} {
			if !strings.Contains(why[name], part) {
				t.Errorf("%s was passed over because %q, want %q", name, why[name], part)
			}
		}
		if len(passed) != 7 {
			t.Errorf("passed over: %v", passed)
		}
	}
	if got, err := Find(other); err != nil || got.Dir != others.Dir {
		t.Errorf("the other name: %v, %v", got, err)
	}
	cfg.ForkExperiment = Latest // whatever its name
	if got, err := FindParent(cfg); err != nil || got.Dir != others.Dir {
		t.Errorf("a fork: %v, %v", got, err)
	}
	if got, err := Select(cfg.ExperimentsDir, nil, Latest); err != nil || got[0].Dir != others.Dir {
		t.Errorf("for programs: %v, %v", got, err)
	}
}

func TestCopiesOfOldReleasesDoNotBeatTheOriginal(t *testing.T) {
	cfg := settings(t)
	e := trained(t, create(t, cfg, noon))
	if err := cfg.Save(e.ConfigPath()); err != nil { // as it was written before there was a mark
		t.Fatal(err)
	}
	copied(t, e, e.Name()+"_backup")
	if got, err := Find(cfg); err != nil || got.Dir != e.Dir {
		t.Errorf("got %v, %v, want %s", got, err, e.Name())
	}
	keep := cfg
	keep.ExperimentName = "bilinear_backup"
	if got, passed, err := Choose(keep); err == nil {
		t.Errorf("the copy counts as an experiment of its own: %v, %v", got, passed)
	} else if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), e.Name()) {
		t.Errorf("got %v, want what is there", err)
	}
	// Without the original it is one that somebody has renamed.
	if err := os.RemoveAll(e.Dir); err != nil {
		t.Fatal(err)
	}
	if got, err := Find(keep); err != nil || got.Name() != e.Name()+"_backup" {
		t.Errorf("renamed: %v, %v", got, err)
	}
}

func TestAnExperimentWithDamagedFilesStillCounts(t *testing.T) {
	cfg := settings(t)
	e := trained(t, create(t, cfg, noon))
	if err := e.SaveStats(Stats{Status: "completed", Sessions: []Session{{ToEpoch: 1}}}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(e.ConfigPath(), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got, err := Find(cfg); err != nil || got.Dir != e.Dir {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAFolderInWhichNothingWasTrainedIsUsedAgain(t *testing.T) {
	cfg := settings(t)
	mine, theirs := MakerIn(t.TempDir()), MakerIn(t.TempDir())
	begin := func(maker Maker, hour int) (string, string) {
		t.Helper()
		e, reused, err := Begin(cfg, noon.Add(time.Duration(hour)*time.Hour), maker)
		if err != nil {
			t.Fatal(err)
		}
		return e.Name(), reused
	}
	count := func() int {
		names, err := List(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	first, _ := begin(mine, 0)
	if _, reused := begin(theirs, 1); reused != "" {
		t.Errorf("the folder of a kernel that lives was taken: %s", reused)
	}
	cfg.BatchSize = 3
	second, reused := begin(mine, 2)
	if reused != first || second == first || count() != 2 {
		t.Errorf("the kernel's own folder %s became %s (%q reused); %d folders", first, second, reused, count())
	}
	e := &Experiment{filepath.Join(cfg.ExperimentsDir, "unet", "gaussian", second)}
	if got, err := config.Load(e.ConfigPath()); err != nil || got != cfg {
		t.Errorf("it holds the settings %+v, %v", got, err)
	}
	if err := os.RemoveAll(theirs.Kernel); err != nil {
		t.Fatal(err)
	}
	elsewhere := mine
	elsewhere.Host = "elsewhere"
	if _, reused := begin(elsewhere, 3); reused != "" {
		t.Errorf("a folder of another machine was taken: %s", reused)
	}
	trained(t, e)
	third, reused := begin(mine, 4)
	if reused == "" || reused == second || count() != 3 {
		t.Errorf("of a kernel that is gone nothing is reused: %q; %d folders", reused, count())
	}
	// A lock is held by whoever is about to train.
	lock, err := (&Experiment{filepath.Join(filepath.Dir(e.Dir), third)}).Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	if _, reused := begin(mine, 5); reused != "" {
		t.Errorf("a folder in use was taken: %s", reused)
	}
}
