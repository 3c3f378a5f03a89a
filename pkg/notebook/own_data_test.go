package notebook

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/experiment"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/rgb"
)

// photographs puts pictures named after a person's camera into a folder; each
// begin gives other ones.
func photographs(t *testing.T, dir string, begin, n int) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o777))
	for i := begin; i < begin+n; i++ {
		im := rgb.New(40, 40)
		for k := range im.Pix {
			im.Pix[k] = byte(7*i + k)
		}
		must(t, im.SavePNG(filepath.Join(dir, "IMG_"+string(rune('a'+i))+".png")))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// trained is an experiment that was trained on four photographs, in this kernel.
func trained(t *testing.T) (config.Config, *experiment.Experiment, *strings.Builder) {
	t.Helper()
	cfg, printed := kernelIn(t)
	photographs(t, cfg.TrainCleanDir, 0, 4)
	photographs(t, cfg.ValCleanDir, 4, 2)
	must(t, prepareData(context.Background(), cfg, small))
	exp := mustSetUp(t, cfg, false)
	d, err := OpenData(cfg, nil)
	must(t, err)
	id, err := d.Identity()
	must(t, err)
	must(t, id.Save(exp.DataPath()))
	printed.Reset()
	return cfg, exp, printed
}

// tree is every file under a folder with its content, locks left out.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == ".lock" {
			return err
		}
		raw, err := os.ReadFile(path)
		all.WriteString(path + " " + string(raw) + "\n")
		return err
	}))
	return all.String()
}

func TestPicturesThatARunWasTrainedOnAreNeverReplacedByOthers(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, cfg *config.Config)
		says   []string // of the error; nil: the data are fine
	}{
		{"nothing", func(*testing.T, *config.Config) {}, nil},
		{"their disk is not mounted", func(t *testing.T, cfg *config.Config) { must(t, os.Rename(cfg.TrainCleanDir, "elsewhere")) },
			[]string{"4 pictures from ", "data/raw/train", "IMG_a.png", "mount their disk", "TrainCleanDir", "ForkExperiment"}},
		{"their disk is not mounted, the folder is there", func(t *testing.T, cfg *config.Config) {
			must(t, os.Rename(cfg.TrainCleanDir, "elsewhere"))
			must(t, os.Mkdir(cfg.TrainCleanDir, 0o777))
		}, []string{"4 pictures from ", "mount their disk"}},
		{"other pictures in their place", func(t *testing.T, cfg *config.Config) {
			must(t, os.Rename(cfg.TrainCleanDir, "elsewhere"))
			photographs(t, cfg.TrainCleanDir, 10, 4)
		}, []string{"none of them is in data/raw/train now", "mount their disk"}},
		{"the built-in pictures in their place", func(t *testing.T, cfg *config.Config) {
			must(t, os.Rename(cfg.TrainCleanDir, "elsewhere"))
			must(t, deadleaves.Folder(t.Context(), cfg.TrainCleanDir, 4, 40, 40, 1, nil))
		}, []string{"none of them is in data/raw/train now"}},
		{"the built-in pictures in the place of those to validate with", func(t *testing.T, cfg *config.Config) {
			must(t, os.Rename(cfg.ValCleanDir, "elsewhere"))
			must(t, deadleaves.Folder(t.Context(), cfg.ValCleanDir, 2, 40, 40, 1, nil))
		}, []string{"none of them is in data/raw/val now", "ValCleanDir"}},
		{"other pictures to validate with", func(t *testing.T, cfg *config.Config) {
			must(t, os.Rename(cfg.ValCleanDir, "elsewhere"))
			photographs(t, cfg.ValCleanDir, 10, 2)
		}, nil},
		{"moved, and the configuration says so", func(t *testing.T, cfg *config.Config) {
			must(t, os.Rename(cfg.TrainCleanDir, "elsewhere"))
			cfg.TrainCleanDir = "elsewhere"
		}, nil},
		{"all but one gone", func(t *testing.T, cfg *config.Config) {
			for _, name := range []string{"IMG_a.png", "IMG_b.png", "IMG_c.png"} {
				must(t, os.Remove(filepath.Join(cfg.TrainCleanDir, name)))
			}
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, exp, _ := trained(t)
			c.change(t, &cfg)
			before := tree(t, "data")
			err := prepareData(context.Background(), cfg, small)
			if c.says == nil {
				must(t, err)
				_, err = OpenData(cfg, nil)
				must(t, err)
				return
			}
			wants(t, err, append(c.says, exp.Name())...)
			if tree(t, "data") != before {
				t.Error("pictures or their copies were changed")
			}
			_, err = OpenData(cfg, nil)
			wants(t, err, "5. Degraded Datasets", "mount their disk")
		})
	}
}

func TestBuiltInPicturesThatAreGoneAreDrawnAgain(t *testing.T) {
	cfg, printed := kernelIn(t)
	must(t, prepareData(context.Background(), cfg, small))
	exp := mustSetUp(t, cfg, false)
	d, err := OpenData(cfg, nil)
	must(t, err)
	id, err := d.Identity()
	must(t, err)
	must(t, id.Save(exp.DataPath()))
	must(t, os.RemoveAll("data/raw"))
	printed.Reset()
	must(t, prepareData(context.Background(), cfg, small))
	if n := strings.Count(printed.String(), "degraded copies are complete"); n != 2 {
		t.Errorf("got %q, want the copies to fit the pictures that were drawn again", printed)
	}
}

func TestCopiesOfPhotographsAreNotThrownAwayForBuiltInPictures(t *testing.T) {
	cfg, _ := kernelIn(t)
	photographs(t, cfg.TrainCleanDir, 0, 3)
	photographs(t, cfg.ValCleanDir, 3, 2)
	must(t, prepareData(context.Background(), cfg, small))
	must(t, os.Rename("data/raw", "unmounted"))
	before := tree(t, "data")
	for range 2 {
		wants(t, prepareData(context.Background(), cfg, small), "TrainCleanDir", "ValCleanDir", "data/degraded/gaussian/sigma_100/train", "IMG_a.png", "mount their disk", "TrainDegradedDir")
		_, err := setUp(cfg, false, noon)
		wants(t, err, "mount their disk")
	}
	if tree(t, "data") != before {
		t.Error("copies were changed")
	}
	if _, err := os.Stat("experiments"); err == nil {
		t.Error("an experiment was begun")
	}
	must(t, os.Rename("unmounted", "data/raw"))
	must(t, prepareData(context.Background(), cfg, small))
}

func TestWhatTheDataCellRefusesNoLaterCellUses(t *testing.T) {
	cfg, _ := kernelIn(t)
	photographs(t, cfg.TrainCleanDir, 0, 2)
	photographs(t, cfg.ValCleanDir, 2, 2)
	good := cfg
	must(t, prepareData(context.Background(), cfg, small))

	// Scores of these would be infinite.
	cfg.ValDegradedDir = cfg.ValCleanDir
	wants(t, prepareData(context.Background(), cfg, small), "another for the degraded copies")
	for name, open := range map[string]func() error{
		"training":   func() error { _, err := OpenData(cfg, nil); return err },
		"evaluation": func() error { _, err := OpenValidation(cfg, 1, nil); return err },
	} {
		if err := open(); err == nil || !strings.Contains(err.Error(), "another for the degraded copies") {
			t.Errorf("%s: got %v, want what the data cell said", name, err)
		}
	}
	// A new kernel, in which that cell was not run.
	must(t, remember(memory{}))
	_, err := OpenValidation(cfg, 1, nil)
	wants(t, err, "ValCleanDir", "ValDegradedDir")

	// Other pictures are none of its business.
	if _, err := OpenValidation(good, 1, nil); err != nil {
		t.Error(err)
	}
	// A picture that cannot be read; mended, and the cell run again, all is well.
	bad := filepath.Join(good.ValCleanDir, "IMG_broken.png")
	must(t, os.WriteFile(bad, []byte("no picture"), 0o666))
	wants(t, prepareData(context.Background(), good, small), "IMG_broken.png")
	_, err = OpenValidation(good, 1, nil)
	wants(t, err, "5. Degraded Datasets", "IMG_broken.png")
	must(t, os.Remove(bad))
	must(t, prepareData(context.Background(), good, small))
	if _, err := OpenValidation(good, 1, nil); err != nil {
		t.Error(err)
	}
}

func TestADataCellThatWasKilledVouchesForNothing(t *testing.T) {
	cfg, _ := kernelIn(t)
	must(t, prepareData(context.Background(), cfg, small))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	cfg.NoiseSigma = 50 // copies must be made anew
	wants(t, prepareData(ctx, cfg, small), "interrupted")
	_, err := OpenData(cfg, nil)
	wants(t, err, "5. Degraded Datasets", "interrupted")
	_, err = OpenValidation(cfg, 1, nil) // which was not looked at
	wants(t, err, "5. Degraded Datasets", "did not run to its end")
	must(t, prepareData(context.Background(), cfg, small))
	_, err = OpenData(cfg, nil)
	must(t, err)
}

func TestOnesOwnDegradedPicturesAtThePlaceOfOursAreNeverChanged(t *testing.T) {
	for _, c := range []struct {
		name string
		put  func(t *testing.T, cfg config.Config)
		says []string // of the error; nil: they are used
	}{
		{"all of them", func(t *testing.T, cfg config.Config) { photographs(t, cfg.TrainDegradedDir, 0, 3) }, nil},
		{"some of them", func(t *testing.T, cfg config.Config) { photographs(t, cfg.TrainDegradedDir, 0, 2) },
			[]string{"were not made here", "no degraded picture", "IMG_c.png", "TrainDegradedDir = ", "_copies"}},
		{"of other pictures", func(t *testing.T, cfg config.Config) { photographs(t, cfg.TrainDegradedDir, 5, 2) },
			[]string{"were not made here", "no clean picture", "IMG_f.png"}},
		{"one among ours", func(t *testing.T, cfg config.Config) {
			must(t, prepareData(context.Background(), cfg, small))
			must(t, os.Remove(filepath.Join(cfg.TrainDegradedDir, "IMG_b.png")))
			photographs(t, cfg.TrainDegradedDir, 1, 1)
		}, []string{"not made here", "IMG_b.png", "nothing was changed", "move them away", "TrainDegradedDir"}},
		{"one among ours, and other noise is wanted", func(t *testing.T, cfg config.Config) {
			other := cfg
			other.NoiseSigma = 30
			must(t, prepareData(context.Background(), other, small))
			photographs(t, cfg.TrainDegradedDir, 1, 1)
		}, []string{"not made here", "IMG_b.png", "nothing was changed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, printed := kernelIn(t)
			photographs(t, cfg.TrainCleanDir, 0, 3)
			photographs(t, cfg.ValCleanDir, 4, 2)
			c.put(t, cfg)
			before := tree(t, cfg.TrainDegradedDir)
			err := prepareData(context.Background(), cfg, small)
			if c.says != nil {
				wants(t, err, c.says...)
				_, err = OpenData(cfg, nil)
				wants(t, err, "5. Degraded Datasets")
			} else {
				must(t, err)
				if !strings.Contains(printed.String(), "using the degraded pictures") || !strings.Contains(printed.String(), "stay as they are") {
					t.Errorf("got %q", printed)
				}
				_, err = OpenData(cfg, nil)
				must(t, err)
			}
			if tree(t, cfg.TrainDegradedDir) != before {
				t.Error("the folder was changed")
			}
		})
	}
}

// Somebody looks at results on a computer without the pictures.
func TestWhereOneOnlyLooksMissingPicturesAreNoFailure(t *testing.T) {
	cfg, exp, _ := trained(t)
	must(t, os.Rename("data", "unmounted"))
	cfg.ResumeFromCheckpoint = true
	if got := mustSetUp(t, cfg, true); got.Dir != exp.Dir {
		t.Fatal(got.Dir)
	}
	_, opened := OpenValidation(cfg, 1, nil)
	for what, err := range map[string]error{"the data cell": prepareData(context.Background(), cfg, small), "a later cell": opened} {
		if !errors.Is(err, cell.ErrNothing) || strings.Contains(err.Error(), cell.ErrNothing.Error()) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	wants(t, prepareData(context.Background(), cfg, small), "mount their disk")
	if _, err := os.Stat("data"); err == nil {
		t.Error("pictures were made")
	}
	if _, err := dataset.LoadIdentity(exp.DataPath()); err != nil {
		t.Error(err)
	}
}
