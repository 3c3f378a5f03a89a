package notebook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/rgb"
)

// kernelIn plays a new kernel whose notebook lies in an empty folder, and
// returns what cells print there.
func kernelIn(t *testing.T) (cfg config.Config, printed *strings.Builder) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("GONB_TMP_DIR", t.TempDir())
	t.Setenv(RunDirVariable, "")
	printed = &strings.Builder{}
	old := Out
	Out = printed
	t.Cleanup(func() { Out = old })
	cfg = config.Default()
	cfg.PatchSize, cfg.TileOverlap, cfg.BatchSize = 32, 8, 4
	return cfg, printed
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.Local)

func mustSetUp(t *testing.T, cfg config.Config, skip bool) *experiment.Experiment {
	t.Helper()
	exp, err := setUp(cfg, skip, noon)
	if err != nil {
		t.Fatal(err)
	}
	return exp
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
	inProcess = memory{} // another process
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

func TestSkippingTrainingCreatesNothing(t *testing.T) {
	cfg, _ := kernelIn(t)
	for range 2 {
		_, err := setUp(cfg, true, noon)
		wants(t, err, "no experiment under", "SKIP_TRAINING = false")
		if !errors.Is(err, ErrNothing) {
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
}

func TestAForkStartsFromItsParentsNewestCheckpoint(t *testing.T) {
	cfg, printed := kernelIn(t)
	parent := mustSetUp(t, cfg, false)
	cfg.ForkExperiment = "latest"
	_, err := setUp(cfg, false, noon)
	wants(t, err, "has no checkpoint to start from")
	state := &checkpoint.State{Epoch: 3, Config: cfg, BestLoss: math.NaN()}
	if err := checkpoint.Save(checkpoint.Path(parent.CheckpointsDir(), checkpoint.Last), state); err != nil {
		t.Fatal(err)
	}
	child := mustSetUp(t, cfg, false)
	stats, err := child.LoadStats()
	if err != nil || stats.Parent != parent.Name() || child.Dir == parent.Dir {
		t.Errorf("forked into %s with parent %q, %v; want a folder of its own with parent %s", child.Dir, stats.Parent, err, parent.Name())
	}
	if got, err := checkpoint.Load(checkpoint.Path(child.CheckpointsDir(), checkpoint.Last)); err != nil || got.Epoch != 3 {
		t.Errorf("the fork holds %v, %v", got, err)
	}
	if !strings.Contains(printed.String(), "Forking "+parent.Name()) {
		t.Errorf("printed %q", printed)
	}
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

func TestCellsWithoutResultsSayWhatIsMissing(t *testing.T) {
	cfg, printed := kernelIn(t)
	mustSetUp(t, cfg, false)
	for name, cell := range map[string]func(config.Config) error{"PlotCurves": plotCurves, "BestAndWorst": bestAndWorst, "Summary": summary} {
		printed.Reset()
		text := ""
		if err := cell(cfg); errors.Is(err, ErrNothing) {
			text = err.Error()
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if text += printed.String(); !strings.Contains(text, " yet") {
			t.Errorf("%s printed %q, want what there is not yet", name, text)
		}
	}
}

func TestSkippedTrainingShowsWhatTheGuideShows(t *testing.T) {
	cfg, printed := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	h := &experiment.History{}
	for i := range 35 {
		h.Append(epoch(0.1 - 0.0577*float64(i)/27 + 0.01*float64(max(0, i-27))))
	}
	h.ValLoss[27] = 0.0423
	if err := h.Save(exp.HistoryPath()); err != nil {
		t.Fatal(err)
	}
	printed.Reset()
	LoadResults(cfg)
	for _, line := range []string{
		"⏭️  SKIP_TRAINING = true: Loading existing results",
		"✅ Loaded history from experiments/unet/gaussian/" + exp.Name() + "/history.json",
		"   Total epochs: 35", "   Best epoch: 28 (val_loss: 0.0423)",
	} {
		if !strings.Contains(printed.String(), line+"\n") {
			t.Errorf("got %q, want the line %q", printed, line)
		}
	}
}

func TestCurvesAreSavedInTheExperiment(t *testing.T) {
	cfg, _ := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	h := &experiment.History{}
	h.Append(epoch(0.3))
	if err := h.Save(exp.HistoryPath()); err != nil {
		t.Fatal(err)
	}
	if err := plotCurves(cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := rgb.Load(exp.CurvesPath()); err != nil {
		t.Error(err)
	}
}

func TestABrokenHistoryIsOneSentence(t *testing.T) {
	cfg, _ := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	if err := os.WriteFile(exp.HistoryPath(), []byte(`{"train_loss": [0.1`), 0o666); err != nil {
		t.Fatal(err)
	}
	err := plotCurves(cfg)
	wants(t, err, "history.json", "resume training")
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("got several lines: %q", err)
	}
}

// evaluated writes pictures and an evaluation of them.
func evaluated(t *testing.T, cfg config.Config, exp *experiment.Experiment, ssim ...float64) {
	t.Helper()
	var e experiment.Evaluation
	for i, s := range ssim {
		name := string(rune('a' + i))
		for dir, ending := range map[string]string{cfg.ValDegradedDir: ".png", cfg.ValCleanDir: ".png", exp.RestoredDir(): ".png"} {
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := rgb.New(40, 30).SavePNG(filepath.Join(dir, name+ending)); err != nil {
				t.Fatal(err)
			}
		}
		scores := experiment.ImageScores{Filename: name + ".png", Scores: experiment.Scores{PSNR: 20, SSIM: experiment.Number(s)}}
		e.PerImage, e.Degraded.PerImage = append(e.PerImage, scores), append(e.Degraded.PerImage, scores)
	}
	if err := e.Save(exp.MetricsPath()); err != nil {
		t.Fatal(err)
	}
}

func TestBestAndWorstAreThoseOfSSIM(t *testing.T) {
	cfg, printed := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	evaluated(t, cfg, exp, 0.5, 0.9, 0.3)
	if err := bestAndWorst(cfg); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(printed.String(), "Best result: b.png") || !strings.Contains(printed.String(), "Worst result: c.png") {
		t.Errorf("got %q, want b.png best and c.png worst", printed)
	}
	for _, file := range []string{"best_full_restoration.png", "worst_full_restoration.png"} {
		if _, err := rgb.Load(filepath.Join(exp.SamplesDir(), file)); err != nil {
			t.Error(err)
		}
	}
}

func TestAMissingPictureOfTheEvaluationIsNamed(t *testing.T) {
	cfg, _ := kernelIn(t)
	exp := mustSetUp(t, cfg, false)
	evaluated(t, cfg, exp, 0.5)
	if err := os.Remove(filepath.Join(cfg.ValCleanDir, "a.png")); err != nil {
		t.Fatal(err)
	}
	wants(t, bestAndWorst(cfg), cfg.ValCleanDir, "13. Evaluation")
}

func TestWithoutPhotographsTheBuiltInSetIsDrawnOnce(t *testing.T) {
	cfg, printed := kernelIn(t)
	for _, want := range []string{"drawing the built-in set", "degraded copies are complete"} {
		printed.Reset()
		if err := prepareData(context.Background(), cfg); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(printed.String(), want); n != 2 { // training and validation
			t.Errorf("got %q, want %q twice", printed, want)
		}
	}
	d, err := OpenData(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d.TrainSet.Images() != builtInTrain || d.ValSet.Images() != builtInVal {
		t.Errorf("got %d and %d pictures, want %d and %d", d.TrainSet.Images(), d.ValSet.Images(), builtInTrain, builtInVal)
	}
	if err := showSamplesOf(t, cfg); err != nil {
		t.Error(err)
	}
}

func showSamplesOf(t *testing.T, cfg config.Config) error {
	exp := mustSetUp(t, cfg, false)
	if err := showSamples(cfg); err != nil {
		return err
	}
	_, err := rgb.Load(filepath.Join(exp.SamplesDir(), "training_samples.png"))
	return err
}

func TestAnInterruptedBuiltInSetIsNeverTakenForPhotographs(t *testing.T) {
	cfg, _ := kernelIn(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	wants(t, prepareData(ctx, cfg), "interrupted", "again")
	if _, err := os.Stat(cfg.TrainCleanDir); err == nil {
		t.Errorf("%s exists after an interruption, want it to appear whole or not at all", cfg.TrainCleanDir)
	}
	if err := prepareData(context.Background(), cfg); err != nil {
		t.Errorf("the next call: %v, want it to complete the data", err)
	}
}

func TestAMissingFolderOfOnesOwnIsNamed(t *testing.T) {
	cfg, _ := kernelIn(t)
	cfg.ValCleanDir, cfg.TrainCleanDir = "data/raw/val", "/nowhere/photographs"
	wants(t, prepareData(context.Background(), cfg), "TrainCleanDir", "/nowhere/photographs", "data/raw/train")
	_, err := setUp(cfg, false, noon)
	wants(t, err, "TrainCleanDir", "/nowhere/photographs")
	if entries, err := os.ReadDir("."); err != nil || len(entries) != 0 {
		t.Errorf("got %v, %v in the folder, want nothing written", entries, err)
	}
}

func TestAnEmptyFolderIsNamed(t *testing.T) {
	cfg, _ := kernelIn(t)
	if err := os.MkdirAll(cfg.TrainCleanDir, 0o777); err != nil {
		t.Fatal(err)
	}
	wants(t, prepareData(context.Background(), cfg), "TrainCleanDir", cfg.TrainCleanDir, "no PNG or JPEG")
	_, err := setUp(cfg, false, noon)
	wants(t, err, "TrainCleanDir", cfg.TrainCleanDir)
}

func TestManyPicturesThatAreTooSmallMakeFewWarnings(t *testing.T) {
	cfg, _ := kernelIn(t)
	for _, dir := range []string{cfg.TrainCleanDir, cfg.TrainDegradedDir} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			if err := rgb.New(20, 20).SavePNG(filepath.Join(dir, fmt.Sprintf("%02d.png", i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	var warnings []string
	_, err := OpenData(cfg, func(text string) { warnings = append(warnings, text) })
	wants(t, err, "PatchSize")
	if len(warnings) != fewWarnings+1 || !strings.Contains(warnings[fewWarnings], "25 more") {
		t.Errorf("got %d warnings, the last %q, want %d and a count of the others", len(warnings), warnings[len(warnings)-1], fewWarnings)
	}
}

func TestDegradedPicturesOfOnesOwnAreUsedAsTheyAre(t *testing.T) {
	cfg, printed := kernelIn(t)
	for _, dir := range []string{cfg.TrainCleanDir, cfg.TrainDegradedDir, cfg.ValCleanDir, cfg.ValDegradedDir} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := rgb.New(40, 40).SavePNG(filepath.Join(dir, "mine.png")); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadFile(filepath.Join(cfg.TrainDegradedDir, "mine.png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := prepareData(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(filepath.Join(cfg.TrainDegradedDir, "mine.png"))
	if err != nil || string(after) != string(before) {
		t.Errorf("somebody's own picture was changed (%v)", err)
	}
	if !strings.Contains(printed.String(), "using the degraded pictures") {
		t.Errorf("got %q, want it to say whose pictures are used", printed)
	}
}

func TestBeforeTheDataAreMadeTheErrorSaysWhichCellMakesThem(t *testing.T) {
	cfg, _ := kernelIn(t)
	_, err := OpenData(cfg, nil)
	wants(t, err, "5. Degraded Datasets")
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want os.ErrNotExist in it", err)
	}
}

func TestAConfigurationIsCheckedAndOverridden(t *testing.T) {
	cfg, _ := kernelIn(t)
	t.Setenv(ConfigVariable, `{"num_epochs": 2, "batch_size": 3}`)
	got, err := configure(cfg)
	if err != nil || got.NumEpochs != 2 || got.BatchSize != 3 || got.PatchSize != cfg.PatchSize {
		t.Errorf("got %+v, %v, want two keys overridden", got, err)
	}
	t.Setenv(ConfigVariable, `{"num_epoch": 2}`)
	_, err = configure(cfg)
	wants(t, err, ConfigVariable, "num_epochs")
	t.Setenv(ConfigVariable, "")
	cfg.BatchSize, cfg.NoiseSigma = 0, -1
	_, err = configure(cfg)
	wants(t, err, "BatchSize", "NoiseSigma")
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
	if _, err := configure(cfg); err != nil {
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

func TestAnErrorEndsTheCellWithOneSentence(t *testing.T) {
	status := -1
	exit = func(code int) { status = code }
	stderr := os.Stderr
	t.Cleanup(func() { exit, os.Stderr = os.Exit, stderr })
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stderr = w
	Check(nil)
	if status != -1 {
		t.Fatal("no error ended the cell")
	}
	Check(errors.New("the folder is empty; put pictures there"))
	w.Close()
	said, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if status != 1 || string(said) != "❌ the folder is empty; put pictures there\n" {
		t.Errorf("got exit status %d and %q, want 1 and the sentence", status, said)
	}
}

func TestWhatCellsPrintGoesToTheLogOfAHeadlessRun(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, LogName)
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Setenv(RunDirVariable, dir)
	var log logFile
	for _, line := range []string{"one\n", "two\n"} {
		if n, err := log.Write([]byte(line)); err != nil || n != len(line) {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "\none\ntwo\n" {
		t.Errorf("got %q, %v, want both lines after an empty one", got, err)
	}
	t.Setenv(RunDirVariable, filepath.Join(dir, "gone"))
	var lost logFile
	if n, err := lost.Write([]byte("x")); n != 1 || err != nil {
		t.Errorf("a log that is gone: got %d, %v, want no error", n, err)
	}
}
