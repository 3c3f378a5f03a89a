package compute

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/experiment"
	"rekindle/pkg/notebook"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/rgb"
)

// A look at results takes seconds because pictures are restored again only
// where the outcome could be another.
func TestWhatIsEvaluatedAlreadyIsShownAndAnythingElseIsEvaluated(t *testing.T) {
	cfg, exp := untrained(t)
	best := exp.Checkpoints().Path(checkpoint.Best)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	shown := func() (again bool) {
		t.Helper()
		must(os.MkdirAll(exp.RestoredDir(), 0o777))
		before, err := os.Stat(exp.RestoredDir())
		must(err)
		scores, _ := os.ReadFile(exp.MetricsPath())
		said := captured(t, func() { Evaluate(cfg) })
		folder, err := os.Stat(exp.RestoredDir())
		must(err)
		again = os.SameFile(before, folder) // an evaluation makes the folder anew
		if got := strings.Contains(said, "evaluated already"); got != again {
			t.Errorf("shown %v, and the cell says\n%s", again, said)
		}
		if after, err := os.ReadFile(exp.MetricsPath()); again && !bytes.Equal(scores, after) {
			t.Errorf("a look changed the scores (%v)", err)
		}
		if !strings.Contains(said, "Gain: ") || !strings.Contains(said, "mean ") {
			t.Errorf("there are no scores in\n%s", said)
		}
		return again
	}
	for _, c := range []struct {
		what   string
		change func()
		want   bool // the stored scores are shown
	}{
		{"nothing evaluated yet", func() {}, false},
		{"the same again", func() {}, true},
		{"a batch of another size", func() { cfg.BatchSize++ }, true},
		{"a longer run", func() { cfg.NumEpochs += 5 }, true},
		{"another overlap", func() { cfg.TileOverlap++ }, false},
		{"other tiles", func() { cfg.PatchSize = 48 }, false},
		{"fewer pictures", func() { cfg.MaxEvalImages = 2 }, false},
		{"the same again", func() {}, true},
		{"another weight", func() {
			state, err := checkpoint.Load(best)
			must(err)
			state.Model[0].Values[0] += 0.5
			must(checkpoint.Save(best, state))
		}, false},
		{"averaged weights", func() {
			state, err := checkpoint.Load(best)
			must(err)
			for i := range state.Model {
				t := &state.Model[i]
				t.Average = slices.Clone(t.Values)
				if t.IsParameter() {
					clear(t.Average)
				}
			}
			must(checkpoint.Save(best, state))
		}, false},
		{"a degraded picture", func() { spoil(t, cfg.ValDegradedDir) }, false},
		{"a clean picture", func() { spoil(t, cfg.ValCleanDir) }, false},
		{"a picture that nobody evaluates", func() {
			for _, dir := range []string{cfg.ValDegradedDir, cfg.ValCleanDir} {
				must(os.Remove(filepath.Join(dir, "c.png")))
			}
		}, true},
		{"a restored picture lost", func() { must(os.Remove(filepath.Join(exp.RestoredDir(), "a.png"))) }, false},
		{"scores of before this checksum", func() {
			e, err := experiment.LoadEvaluation(exp.MetricsPath())
			must(err)
			e.MadeFrom = ""
			must(e.Save(exp.MetricsPath()))
		}, false},
		{"scores damaged", func() { must(os.WriteFile(exp.MetricsPath(), []byte("{"), 0o666)) }, false},
		{"self-ensemble", func() { cfg.SelfEnsemble = true }, false},
		{"and once more", func() {}, true},
	} {
		c.change()
		if got := shown(); got != c.want {
			t.Errorf("%s: the scores on disk are shown: %v, want %v", c.what, got, c.want)
		}
	}
}

func TestWhereThePicturesAreElsewhereTheScoresOnDiskAreShown(t *testing.T) {
	cfg, exp := untrained(t)
	captured(t, func() { Evaluate(cfg) })
	scores, err := os.ReadFile(exp.MetricsPath())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(cfg.ValCleanDir); err != nil {
		t.Fatal(err)
	}
	notebook.SetUp(cfg, true)
	said := captured(t, func() { Evaluate(cfg) })
	for _, want := range []string{cfg.ValCleanDir, "scores that are on disk", "weights of epoch 3", "Gain: "} {
		if !strings.Contains(said, want) {
			t.Errorf("got %q, want it to say %q", said, want)
		}
	}
	if after, err := os.ReadFile(exp.MetricsPath()); err != nil || !bytes.Equal(after, scores) {
		t.Errorf("a look changed the scores (%v)", err)
	}
}

// spoil changes one pixel of a picture.
func spoil(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "b.png")
	im, err := rgb.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	im.Pix[0] ^= 1
	if err := im.SavePNG(path); err != nil {
		t.Fatal(err)
	}
}

// captured returns what cells print meanwhile.
func captured(t *testing.T, f func()) string {
	t.Helper()
	var b bytes.Buffer
	before := cell.Out
	cell.Out = &b
	defer func() { cell.Out = before }()
	f()
	return b.String()
}
