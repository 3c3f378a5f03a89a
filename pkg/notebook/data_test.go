package notebook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/degrade"
	"rekindle/pkg/durable"
	"rekindle/pkg/internal/disk"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/rgb"
)

func TestWithoutPhotographsTheBuiltInSetIsDrawnOnce(t *testing.T) {
	cfg, printed := kernelIn(t)
	for _, want := range []string{"drawing the built-in set", "degraded copies are complete"} {
		printed.Reset()
		if err := prepareData(context.Background(), cfg, small); err != nil {
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
	if d.TrainSet.Images() != small.pictures[0] || d.ValSet.Images() != small.pictures[1] {
		t.Errorf("got %d and %d pictures, want %d and %d", d.TrainSet.Images(), d.ValSet.Images(), small.pictures[0], small.pictures[1])
	}
	if err := showSamplesOf(t, cfg); err != nil {
		t.Error(err)
	}
}

func TestWhereNoPicturesCanBeMadeTheSettingIsNamed(t *testing.T) {
	cfg, _ := kernelIn(t)
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	disk.ReadOnly(t, dir)
	t.Chdir(dir) // into what is mounted there now
	if err := prepareData(context.Background(), cfg, small); !durable.MayOnlyRead(err) || !strings.Contains(err.Error(), "name it, TrainCleanDir = ") {
		t.Errorf("the built-in set: %v", err)
	}
	cfg.TrainCleanDir = t.TempDir()
	if err := rgb.New(64, 64).SavePNG(filepath.Join(cfg.TrainCleanDir, "a.png")); err != nil {
		t.Fatal(err)
	}
	if err := prepareData(context.Background(), cfg, small); !durable.MayOnlyRead(err) || !strings.Contains(err.Error(), "name another folder: TrainDegradedDir = ") {
		t.Errorf("degraded copies: %v", err)
	}
}

func TestWithoutAugmentPatchesAreNotTurned(t *testing.T) {
	cfg, _ := kernelIn(t)
	if err := prepareData(context.Background(), cfg, small); err != nil {
		t.Fatal(err)
	}
	d, err := OpenData(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Augment = false
	upright, err := OpenData(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	same, size := 0, 3*cfg.PatchSize*cfg.PatchSize
	for i := range d.Train.Len() {
		first, second, clean := make([]float32, size), make([]float32, size), make([]float32, size)
		_, err := d.Train.Patch(1, i, first, clean)
		if _, again := upright.Train.Patch(1, i, second, clean); err != nil || again != nil {
			t.Fatal(err, again)
		}
		if slices.Equal(first, second) {
			same++
		}
	}
	if same == 0 || 2*same > d.Train.Len() {
		t.Errorf("%d of %d patches are the same without Augment, want one of eight", same, d.Train.Len())
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
	wants(t, prepareData(ctx, cfg, small), "interrupted", "again")
	if _, err := os.Stat(cfg.TrainCleanDir); err == nil {
		t.Errorf("%s exists after an interruption, want it to appear whole or not at all", cfg.TrainCleanDir)
	}
	if err := prepareData(context.Background(), cfg, small); err != nil {
		t.Errorf("the next call: %v, want it to complete the data", err)
	}
}

func TestAMissingFolderOfOnesOwnIsNamed(t *testing.T) {
	cfg, _ := kernelIn(t)
	cfg.ValCleanDir, cfg.TrainCleanDir = "data/raw/val", "/nowhere/photographs"
	wants(t, prepareData(context.Background(), cfg, small), "TrainCleanDir", "/nowhere/photographs", "data/raw/train")
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
	wants(t, prepareData(context.Background(), cfg, small), "TrainCleanDir", cfg.TrainCleanDir, "no PNG or JPEG")
	_, err := setUp(cfg, false, noon)
	wants(t, err, "TrainCleanDir", cfg.TrainCleanDir)
	if err := os.Symlink("/none/a.png", filepath.Join(cfg.TrainCleanDir, "a.png")); err != nil {
		t.Fatal(err)
	}
	wants(t, prepareData(context.Background(), cfg, small), "TrainCleanDir", "links that lead nowhere; mount their disk", "/none/a.png")
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
	if err := prepareData(context.Background(), cfg, small); err != nil {
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

func TestTwoKernelsThatDrawAtOnceDoNotDisturbEachOther(t *testing.T) {
	cfg, _ := kernelIn(t)
	cell.Out = io.Discard // both print
	results := make(chan error)
	for range 2 {
		go func() { results <- prepareData(context.Background(), cfg, small) }()
	}
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if _, err := OpenData(cfg, nil); err != nil {
		t.Error(err)
	}
}

func TestHalfMadeCopiesPointToTheCellThatCompletesThem(t *testing.T) {
	cfg, _ := kernelIn(t)
	if err := prepareData(context.Background(), cfg, small); err != nil {
		t.Fatal(err)
	}
	made, err := filepath.Glob(filepath.Join(cfg.ValDegradedDir, "*.png"))
	if err != nil || len(made) < 2 {
		t.Fatal(made, err)
	}
	for i, path := range made { // as interruptions leave them: some missing, then all
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if i > 0 && i < len(made)-1 {
			continue
		}
		_, err := OpenData(cfg, nil)
		wants(t, err, cfg.ValDegradedDir, "5. Degraded Datasets", "run it again")
	}
	if err := prepareData(context.Background(), cfg, small); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenData(cfg, nil); err != nil {
		t.Error(err)
	}
}

func TestEveryDegradationFillsItsFolders(t *testing.T) {
	cfg, printed := kernelIn(t)
	for _, name := range degrade.Names() {
		printed.Reset()
		cfg.Degradation, cfg.TrainDegradedDir, cfg.ValDegradedDir = name, "", ""
		cfg.NoiseSigma, cfg.NoiseSigmaMax = 5, 55
		cfg := cfg.WithFolders()
		d, err := cfg.NewDegradation()
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join("data/degraded", d.Name()); cfg.TrainDegradedDir != want+"/train" || cfg.ValDegradedDir != want+"/val" {
			t.Fatalf("%s: the folders are %s and %s", name, cfg.TrainDegradedDir, cfg.ValDegradedDir)
		}
		if err := prepareData(context.Background(), cfg, small); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(printed.String(), "degraded copies ("+d.Name()+") made"); n != 2 || strings.Contains(printed.String(), "would fit") {
			t.Errorf("%s: got %q", name, printed)
		}
		data, err := OpenData(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		stem, degraded, clean, err := data.TrainSet.Pair(0)
		if err != nil {
			t.Fatal(err)
		}
		if want := d.Apply(clean, degrade.Source(cfg.Seed, stem)); !slices.Equal(degraded.Pix, want.Pix) {
			t.Errorf("%s: %s is not what seed and name give", name, stem)
		}
		noise, noisy := d.(degrade.Noise)
		if data.Val.KnowsLevels() != noisy || noisy && data.TrainSet.Level(0) != noise.Level(degrade.Source(cfg.Seed, stem)) {
			t.Errorf("%s: the level of %s is known to be %v", name, stem, data.TrainSet.Level(0))
		}
	}
}

func TestAFolderNamedAfterAnotherStrengthIsPointedOut(t *testing.T) {
	cfg, printed := kernelIn(t)
	cfg.Degradation, cfg.JPEGQuality = "jpeg", 25
	cfg.TrainDegradedDir, cfg.ValDegradedDir = "data/degraded/gaussian/sigma_100/train", "data/degraded/gaussian/sigma_100/val"
	if err := prepareData(context.Background(), cfg, small); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`TrainDegradedDir = "data/degraded/jpeg/quality_25/train"`, `ValDegradedDir = "data/degraded/jpeg/quality_25/val"`} {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("got %q, want %q", printed, want)
		}
	}
	for dir, want := range map[string]bool{"data/degraded/jpeg/quality_25/train": false, "data/degraded/jpeg/quality_5/train": true, "my/folder": false, "dithering/random/2bit": true} {
		if got := namedAfterAnother(dir, degrade.JPEG{Quality: 25}); got != want {
			t.Errorf("%s: got %v", dir, got)
		}
	}
}

func TestRunsWithOtherStrengthsKeepTheirCopiesApart(t *testing.T) {
	first, printed := kernelIn(t)
	second := config.Default()
	second.Degradation, second.JPEGQuality = "jpeg", 25
	second = second.WithFolders()
	for _, cfg := range []config.Config{first, second, first, second} {
		printed.Reset()
		if err := prepareData(context.Background(), cfg, small); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(printed.String(), "degraded copies are complete"); n != 2 {
		t.Errorf("after another run in between: %q, want its copies to be there still", printed)
	}
}

func TestOnTheFlyTrainingNeedsNoCopiesAndValidationKeepsIts(t *testing.T) {
	cfg, printed := kernelIn(t)
	cfg.DegradeOnTheFly = true
	if err := prepareData(context.Background(), cfg, small); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(cfg.TrainDegradedDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("copies were made for training (%v)", err)
	}
	if !strings.Contains(printed.String(), "Train: each patch is degraded anew when it is cut (gaussian/sigma_100)") {
		t.Errorf("got %q", printed)
	}
	d, err := OpenData(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 3 * cfg.PatchSize * cfg.PatchSize
	patch := func(s *dataset.Sampler, epoch, index int) []float32 {
		degraded := make([]float32, n)
		if _, err := s.Patch(epoch, index, degraded, make([]float32, n)); err != nil {
			t.Fatal(err)
		}
		return degraded
	}
	if _, degraded, clean, err := d.TrainSet.Pair(0); err != nil || degraded != clean {
		t.Error("clean pictures are held twice")
	}
	for i := range d.Val.Len() {
		if !slices.Equal(patch(d.Val, 1, i), patch(d.Val, 2, i)) {
			t.Errorf("validation patch %d is another in another epoch", i)
		}
	}
	files, err := dataset.Open(cfg.ValDegradedDir, cfg.ValCleanDir, cfg.PatchSize, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := files.Validation(cfg.PatchSize, cfg.ValPatchesPerImage, cfg.Seed); !slices.Equal(patch(d.Val, 1, 0), patch(want, 1, 0)) {
		t.Error("validation does not read the copies")
	}
	again, err := OpenData(cfg, nil) // another process
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(patch(d.Train, 3, 5), patch(again.Train, 3, 5)) {
		t.Error("a patch is another in another process")
	}
}

// Whoever has the folder may be stopped, and then nothing happens for ever.
func TestWaitingForWhoMakesCopiesIsSaid(t *testing.T) {
	cfg, printed := kernelIn(t)
	if err := prepareData(t.Context(), cfg, small); err != nil {
		t.Fatal(err)
	}
	unlock, err := durable.LockFolder(t.Context(), cfg.TrainDegradedDir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	printed.Reset()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := prepareData(ctx, cfg, small); err == nil || !strings.Contains(printed.String(), "Train: another process makes pictures in "+cfg.TrainDegradedDir) {
		t.Errorf("got %v, printed %q", err, printed)
	}
}
