package progress

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"rekindle/pkg/experiment"
	"rekindle/pkg/rgb"
)

// level is a picture of one grey level.
func level(v uint8) *rgb.Image {
	im := rgb.New(16, 16)
	for i := range im.Pix {
		im.Pix[i] = v
	}
	return im
}

// cropsAt are two patches that epoch by epoch come closer to the clean ones.
func cropsAt(epoch int) Crops {
	restored := level(uint8(min(40+epoch, 200)))
	return Crops{[]*rgb.Image{level(40), level(40)}, []*rgb.Image{restored, restored}, []*rgb.Image{level(200), level(201)}}
}

func TestTheCourseOfTrainingIsKeptAcrossSessions(t *testing.T) {
	exp := &experiment.Experiment{Dir: t.TempDir()}
	for epoch := 1; epoch <= 3; epoch++ {
		if err := newCourse(exp).add(epoch, cropsAt(epoch)); err != nil { // a new session each
			t.Fatal(err)
		}
	}
	c := newCourse(exp)
	if err := c.add(2, cropsAt(2)); err != nil { // training went back to epoch 1
		t.Fatal(err)
	}
	if epochs, err := c.epochs(1000); err != nil || !slices.Equal(epochs, []int{1, 2}) {
		t.Errorf("after epochs 1, 2, 3 and again 2: got %v, %v, want 1 and 2", epochs, err)
	}
	raw, err := os.ReadFile(c.strip)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(raw)); err != nil {
		t.Errorf("the strip is no picture: %v", err)
	}
}

func TestTheCourseOfALongRunStaysSmall(t *testing.T) {
	c := newCourse(&experiment.Experiment{Dir: t.TempDir()})
	if err := os.MkdirAll(c.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for epoch := 1; epoch <= 3*keptEpochs; epoch++ {
		if err := os.WriteFile(c.path(epoch), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		epochs, err := c.epochs(epoch)
		if err == nil {
			epochs, err = c.thin(epochs)
		}
		if err != nil || len(epochs) > keptEpochs || epochs[0] != 1 || epochs[len(epochs)-1] != epoch {
			t.Fatalf("after %d epochs: got %v, %v; want at most %d, the first and the last among them", epoch, epochs, err, keptEpochs)
		}
	}
}

func TestTheStripShowsTheFirstAndTheLastEpoch(t *testing.T) {
	for _, n := range []int{1, 2, 5, 6, 7, 40} {
		var list []int
		for i := range n {
			list = append(list, i+1)
		}
		got := evenly(list, shownEpochs)
		if len(got) != min(n, shownEpochs) || got[0] != 1 || got[len(got)-1] != n || !slices.IsSorted(got) {
			t.Errorf("of %d epochs: got %v", n, got)
		}
	}
}

func TestCropsOfAnotherPatchSizeDoNotSpoilTheStrip(t *testing.T) {
	exp := &experiment.Experiment{Dir: t.TempDir()}
	c := newCourse(exp)
	if err := c.add(1, Crops{[]*rgb.Image{rgb.New(32, 32)}, []*rgb.Image{rgb.New(32, 32)}, []*rgb.Image{rgb.New(32, 32)}}); err != nil {
		t.Fatal(err)
	}
	if err := c.add(2, cropsAt(2)); err != nil {
		t.Error(err)
	}
}

func TestProgressKeepsWhatWasValidatedLast(t *testing.T) {
	p, _, _ := watched(false)
	p.course = newCourse(&experiment.Experiment{Dir: t.TempDir()})
	c := cropsAt(1)
	p.Start(1, 1, 1)
	p.Validated(1, c.Degraded, c.Restored, c.Clean)
	p.Close()
	if _, err := os.Stat(p.course.strip); err != nil {
		t.Errorf("a run that ends right after a validation: %v", err)
	}
}

func TestTheCourseMakesNoSecondFolderOfARenamedExperiment(t *testing.T) {
	exp := &experiment.Experiment{Dir: filepath.Join(t.TempDir(), "x")}
	if err := os.Mkdir(exp.Dir, 0o777); err != nil {
		t.Fatal(err)
	}
	c := newCourse(exp)
	if err := c.add(1, cropsAt(1)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(exp.Dir, exp.Dir+" renamed"); err != nil {
		t.Fatal(err)
	}
	err := c.add(2, cropsAt(2))
	if _, there := os.Stat(exp.Dir); err == nil || there == nil {
		t.Errorf("got %v, and the folder of the old name is there: %v", err, there == nil)
	}
}
