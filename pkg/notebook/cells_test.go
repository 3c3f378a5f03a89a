package notebook

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
	"rekindle/pkg/notebook/cell"
)

// kernelIn plays a new kernel whose notebook lies in an empty folder, and
// returns what cells print there.
func kernelIn(t *testing.T) (cfg config.Config, printed *strings.Builder) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("GONB_TMP_DIR", t.TempDir())
	t.Setenv(cell.RunDirVariable, "")
	t.Setenv(ConfigVariable, "")
	printed = &strings.Builder{}
	out := cell.Out
	cell.Out = printed
	t.Cleanup(func() { cell.Out = out })
	cfg = config.Default().WithFolders()
	cfg.PatchSize, cfg.TileOverlap, cfg.BatchSize = 32, 8, 4
	return cfg, printed
}

// small is a built-in set that is soon drawn.
var small = builtIn{[2]int{5, 2}, 64}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.Local)

func mustSetUp(t *testing.T, cfg config.Config, skip bool) *experiment.Experiment {
	t.Helper()
	exp, err := setUp(cfg, skip, noon)
	if err != nil {
		t.Fatal(err)
	}
	return exp
}

func epoch(valLoss float64) history.Epoch {
	return history.Epoch{TrainLoss: 0.2311, TrainL1: 0.1, TrainSSIM: 0.5, ValLoss: valLoss, ValL1: 0.1, ValSSIM: 0.7021, ValPSNR: 27.318, LR: 1e-3, EpochTime: 41, MemoryAllocatedMB: 612}
}

// wants checks that an error's sentence says all that it should.
func wants(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one that says %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got %q, want it to say %q", err, part)
		}
	}
}

func TestLaterCellsFindTheExperimentThatWasChosen(t *testing.T) {
	cfg, _ := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	got, err := current(cfg)
	if err != nil || got.Dir != exp.Dir {
		t.Errorf("got %v, %v, want %s", got, err, exp.Dir)
	}
}

func TestANewKernelStartsWithoutExperiment(t *testing.T) {
	cfg, _ := kernelIn(t)
	mustSetUp(t, cfg, false)
	t.Setenv("GONB_TMP_DIR", t.TempDir())
	_, err := current(cfg)
	wants(t, err, "no experiment", "3. Create Output Directories")
}

func TestAVanishedExperimentIsNamed(t *testing.T) {
	cfg, _ := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	if err := os.RemoveAll(exp.Dir); err != nil {
		t.Fatal(err)
	}
	_, err := current(cfg)
	wants(t, err, exp.Name(), "gone", "3. Create Output Directories")
}

func TestAnExperimentOfAnotherModelIsRefused(t *testing.T) {
	cfg, _ := kernelIn(t)
	mustSetUp(t, cfg, false)
	cfg.Model = "attention_unet"
	_, err := current(cfg)
	wants(t, err, "attention_unet", "3. Create Output Directories")
}

func TestResumeReusesTheFolder(t *testing.T) {
	cfg, printed := kernelIn(t)
	first := mustSetUp(t, cfg, false)
	cfg.ResumeFromCheckpoint = true
	if again := mustSetUp(t, cfg, false); again.Dir != first.Dir {
		t.Errorf("got %s, want %s", again.Dir, first.Dir)
	}
	if !strings.Contains(printed.String(), "RESUME MODE: Loading existing experiment") {
		t.Errorf("got %q, want the guide's heading", printed)
	}
}

func TestTheSameCommandBeginsAnExperimentOnceAndThenGoesOn(t *testing.T) {
	cfg, _ := kernelIn(t)
	cfg.ResumeFromCheckpoint, cfg.ResumeExperiment, cfg.ExperimentName = true, experiment.Auto, "seed_1"
	if _, err := setUp(cfg, true, noon); !errors.Is(err, cell.ErrNothing) {
		t.Errorf("with SKIP_TRAINING: %v, want nothing to be created", err)
	}
	first := mustSetUp(t, cfg, false)
	other := cfg
	other.ExperimentName = "seed_2"
	if second := mustSetUp(t, other, false); second.Dir == first.Dir {
		t.Error("two jobs share a folder")
	}
	if again := mustSetUp(t, cfg, false); again.Dir != first.Dir {
		t.Errorf("got %s, want %s", again.Dir, first.Dir)
	}
}

func TestAJobThatIsStartedTwiceHasOneExperiment(t *testing.T) {
	cfg, _ := kernelIn(t)
	cfg.ResumeFromCheckpoint, cfg.ResumeExperiment, cfg.ExperimentName = true, experiment.Auto, "seed_1"
	for i := range 5 {
		cfg.Degradation = []string{"gaussian", "jpeg", "dithering", "salt_pepper", "poisson_gaussian"}[i]
		found := make([]*experiment.Experiment, 8)
		var all sync.WaitGroup
		for j := range found {
			all.Go(func() {
				var err error
				if found[j], _, err = choose(cfg, false, noon); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if names, err := experiment.List(cfg); err != nil || len(names) != 1 {
			t.Errorf("started %d times at once there are %q (%v)", len(found), names, err)
		}
	}
}

func TestAJobStoppedWhileItForkedForksAgain(t *testing.T) {
	cfg, _ := kernelIn(t)
	parent := mustSetUp(t, cfg, false)
	state := &checkpoint.State{Cursor: checkpoint.Cursor{Epoch: 3}, Config: cfg, BestLoss: math.NaN()}
	if err := checkpoint.Save(parent.Checkpoints().Path(checkpoint.Last), state); err != nil {
		t.Fatal(err)
	}
	best := parent.Checkpoints().Path(checkpoint.Best)
	if err := checkpoint.Save(best, &checkpoint.State{Cursor: checkpoint.Cursor{Epoch: 1}, Config: cfg, BestLoss: math.NaN()}); err != nil {
		t.Fatal(err)
	}
	cfg.ForkExperiment, cfg.ExperimentName = parent.Name(), "seed_1"
	cfg.ResumeFromCheckpoint, cfg.ResumeExperiment = true, experiment.Auto
	child := mustSetUp(t, cfg, false)
	for _, stopped := range []string{"before the copies were there", "between the copies", "after them"} {
		path, again := child.Checkpoints().Path(checkpoint.Last), stopped != "after them"
		if again {
			if err := os.RemoveAll(child.CheckpointsDir()); err != nil {
				t.Fatal(err)
			}
			if stopped == "between the copies" {
				if err := errors.Join(os.Mkdir(child.CheckpointsDir(), 0o777), os.Link(best, child.Checkpoints().Path(checkpoint.Best))); err != nil {
					t.Fatal(err)
				}
			}
		} else if err := checkpoint.Save(path, &checkpoint.State{Cursor: checkpoint.Cursor{Epoch: 4}, Config: cfg, BestLoss: math.NaN()}); err != nil {
			t.Fatal(err)
		}
		if got := mustSetUp(t, cfg, false); got.Dir != child.Dir {
			t.Fatalf("got %s, want %s", got.Dir, child.Dir)
		}
		want := 4
		if again {
			want = 3
		}
		if got, err := checkpoint.Load(path); err != nil || got.Epoch != want {
			t.Errorf("stopped %s: the fork holds %v, %v, want epoch %d", stopped, got, err, want)
		}
	}
}

func TestSkippingTrainingCreatesNothing(t *testing.T) {
	cfg, _ := kernelIn(t)
	for range 2 {
		_, err := setUp(cfg, true, noon)
		wants(t, err, "no experiment under", "SKIP_TRAINING = false")
		if !errors.Is(err, cell.ErrNothing) {
			t.Errorf("%v would stop Run All", err)
		}
		_, err = current(cfg) // the cells below say the same, and Run All goes on
		wants(t, err, "no experiment under", "SKIP_TRAINING = false")
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) != 0 {
		t.Errorf("got %v, %v in the folder, want nothing", entries, err)
	}
	exp := mustSetUp(t, cfg, false)
	if got := mustSetUp(t, cfg, true); got.Dir != exp.Dir { // although ResumeFromCheckpoint is false
		t.Errorf("got %s, want the existing %s", got.Dir, exp.Dir)
	}
	cfg.ExperimentName = "another"
	for range 2 {
		_, err := setUp(cfg, true, noon)
		wants(t, err, "nothing to show yet", `named "another"`, exp.Name())
		_, err = current(cfg)
		wants(t, err, `named "another"`, exp.Name())
	}
}

func TestAForkStartsFromItsParentsNewestCheckpoint(t *testing.T) {
	cfg, printed := kernelIn(t)
	parent := mustSetUp(t, cfg, false)
	cfg.ForkExperiment = "latest"
	_, err := setUp(cfg, false, noon)
	wants(t, err, "has no checkpoint to start from")
	state := &checkpoint.State{Cursor: checkpoint.Cursor{Epoch: 3}, Config: cfg, BestLoss: math.NaN()}
	if err := checkpoint.Save(parent.Checkpoints().Path(checkpoint.Last), state); err != nil {
		t.Fatal(err)
	}
	child := mustSetUp(t, cfg, false)
	stats, err := child.LoadStats()
	if err != nil || stats.Parent != parent.Name() || child.Dir == parent.Dir {
		t.Errorf("forked into %s with parent %q, %v; want a folder of its own with parent %s", child.Dir, stats.Parent, err, parent.Name())
	}
	if got, err := checkpoint.Load(child.Checkpoints().Path(checkpoint.Last)); err != nil || got.Epoch != 3 {
		t.Errorf("the fork holds %v, %v", got, err)
	}
	if !strings.Contains(printed.String(), "Forking "+parent.Name()) {
		t.Errorf("printed %q", printed)
	}
}

func TestAForkTakesTheBestModelAndTheHistoryWithIt(t *testing.T) {
	cfg, _ := kernelIn(t)
	parent := mustSetUp(t, cfg, false)
	// As the Python original leaves it: the newest checkpoint carries neither history nor best epoch.
	for name, n := range map[string]int{checkpoint.Best: 1, checkpoint.Periodic(2): 2} {
		if err := checkpoint.Save(parent.Checkpoints().Path(name), &checkpoint.State{Cursor: checkpoint.Cursor{Epoch: n}, Config: cfg, BestLoss: math.NaN()}); err != nil {
			t.Fatal(err)
		}
	}
	h := &history.History{}
	h.Append(epoch(0.1))
	h.Append(epoch(0.2))
	if err := h.Save(parent.HistoryPath()); err != nil {
		t.Fatal(err)
	}
	cfg.ForkExperiment = "latest"
	child := mustSetUp(t, cfg, false)
	for name, want := range map[string]int{checkpoint.Best: 1, checkpoint.Periodic(2): 2} {
		if got, err := checkpoint.Load(child.Checkpoints().Path(name)); err != nil || got.Epoch != want {
			t.Errorf("%s of the fork holds %v, %v, want epoch %d", name, got, err, want)
		}
	}
	cfg.ForkExperiment = ""
	got, bestEpoch, bestValLoss := History(cfg)
	if got.Len() != 2 || got.ValLoss[1] != 0.2 || bestEpoch != 1 || bestValLoss != 0.1 {
		t.Errorf("the fork's history is %v, best epoch %d (%v)", got.ValLoss, bestEpoch, bestValLoss)
	}
}

func TestAFailedChoiceForgetsTheExperimentBefore(t *testing.T) {
	cfg, _ := kernelIn(t)
	mustSetUp(t, cfg, false)
	cfg.ResumeFromCheckpoint, cfg.ResumeExperiment = true, "20251230_153045_v1"
	_, err := setUpOrForget(cfg, false)
	wants(t, err, "20251230_153045_v1")
	_, err = current(cfg)
	wants(t, err, "3. Create Output Directories")
}

func TestAWrongNameListsWhatThereIs(t *testing.T) {
	cfg, _ := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	cfg.ResumeFromCheckpoint, cfg.ResumeExperiment = true, "20251230_153045_v1"
	_, err := setUp(cfg, false, noon)
	wants(t, err, "20251230_153045_v1", exp.Name())
}

func TestAMismatchIsSaidOnceAndTheChoiceStays(t *testing.T) {
	cfg, printed := kernelIn(t)
	older := mustSetUp(t, cfg, false)
	trainedTo(t, older, cfg, 1)
	chosen := mustSetUp(t, cfg, false)
	cfg.ResumeFromCheckpoint, cfg.ResumeExperiment = true, older.Name()
	for range 2 {
		if got, err := current(cfg); err != nil || got.Dir != chosen.Dir {
			t.Fatalf("got %v, %v, want %s", got, err, chosen.Dir)
		}
	}
	text := printed.String()
	if n := strings.Count(text, "Warning: Resume experiment mismatch!"); n != 1 {
		t.Errorf("the warning came %d times, want once:\n%s", n, text)
	}
	for _, line := range []string{"   Expected: experiments/unet/gaussian/" + chosen.Name(), "   Got: experiments/unet/gaussian/" + older.Name(), "   Using: experiments/unet/gaussian/" + chosen.Name()} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("got %q, want the line %q", text, line)
		}
	}
}

func TestFoldersAreThoseOfTheCloneWhereverTheNotebookLies(t *testing.T) {
	cfg, _ := kernelIn(t)
	clone := t.TempDir()
	deep := filepath.Join(clone, "notebooks", "unet", "gaussian")
	if err := os.MkdirAll(deep, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(clone, "go.mod"), []byte("module rekindle\n\ngo 1.26\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Chdir(deep)
	if _, err := configure(func(c *config.Config) { *c = cfg }); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if want, err := filepath.EvalSymlinks(clone); err != nil || dir != want && dir != clone {
		t.Errorf("cells work in %s, want %s", dir, clone)
	}
}
