package compute

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/model"
	"rekindle/pkg/notebook"
	"rekindle/pkg/restore"
)

// untrained makes an experiment whose best weights are fresh ones, and three
// pictures to evaluate it on, and chooses it.
func untrained(t *testing.T) (config.Config, *experiment.Experiment) {
	t.Helper()
	t.Setenv("GONB_TMP_DIR", t.TempDir())
	cfg := settings(t)
	cfg.ModelFeatures, cfg.ValPatchesPerImage = 2, 2
	for i, name := range []string{"b.png", "c.png"} {
		im := deadleaves.Image(40+i, 50, rand.New(rand.NewPCG(7, uint64(i))))
		for _, dir := range []string{cfg.ValCleanDir, cfg.ValDegradedDir} {
			if err := im.SavePNG(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	state := fresh(t, cfg)
	exp := notebook.SetUp(cfg, false)
	if err := checkpoint.Save(exp.Checkpoints().Path(checkpoint.Best), state); err != nil {
		t.Fatal(err)
	}
	return cfg, exp
}

// fresh is a State with the first weights of the configuration's network.
func fresh(t *testing.T, cfg config.Config) *checkpoint.State {
	t.Helper()
	net, err := model.New(cfg.Model, model.OptionsOf(cfg))
	if err != nil {
		t.Fatal(err)
	}
	values := net.Init(1)
	state := &checkpoint.State{Cursor: checkpoint.Cursor{Epoch: 3}, BestEpoch: 3, BestLoss: 0.5, Config: cfg, Reason: "epoch"}
	for _, e := range net.Entries() {
		tensor := checkpoint.Tensor{Name: e.Name, Shape: e.Shape, Values: values[e.Name]}
		if tensor.IsParameter() {
			tensor.First, tensor.Second = make([]float32, len(tensor.Values)), make([]float32, len(tensor.Values))
		}
		state.Model = append(state.Model, tensor)
	}
	state.History.Resize(3)
	return state
}

// Checkpoints of attention_unet from when it had a single gate restore as ever.
func TestAnAttentionUNetOfOneGateRestores(t *testing.T) {
	cfg, exp := untrained(t)
	cfg.Model = "attention_unet_bottleneck"
	state := fresh(t, cfg)
	state.Config.Model = "attention_unet"
	if err := checkpoint.Save(exp.Checkpoints().Path(checkpoint.Best), state); err != nil {
		t.Fatal(err)
	}
	saved, err := loadBest(exp)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newRestorer(state.Config, exp, saved); err != nil {
		t.Error(err)
	}
}

func TestScoresAlwaysDescribeThePicturesThatLieThere(t *testing.T) {
	cfg, exp := untrained(t)
	for _, c := range []struct {
		limit    int
		ensemble bool
		want     []string
	}{
		{3, false, []string{"a.png", "b.png", "c.png"}}, {1, true, []string{"a.png"}},
	} {
		cfg.MaxEvalImages, cfg.SelfEnsemble = c.limit, c.ensemble
		Evaluate(cfg)
		scores, err := experiment.LoadEvaluation(exp.MetricsPath())
		if err != nil {
			t.Fatal(err)
		}
		var scored, there []string
		for _, im := range scores.PerImage {
			scored = append(scored, im.Filename)
		}
		files, err := os.ReadDir(exp.RestoredDir())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if !strings.HasPrefix(f.Name(), ".") { // by which pictures of a person are told from these
				there = append(there, f.Name())
			}
		}
		if !slices.Equal(scored, c.want) || !slices.Equal(there, c.want) {
			t.Errorf("%q are scored and %q lie there, want %q", scored, there, c.want)
		}
		if scores.SelfEnsemble != c.ensemble || scores.Epoch != 3 || scores.Margin != restore.Margin {
			t.Errorf("the scores say self-ensemble %v, epoch %d, margin %d", scores.SelfEnsemble, scores.Epoch, scores.Margin)
		}
	}
}

func TestSamplesAreOfDifferentPictures(t *testing.T) {
	for _, c := range []struct {
		patches, perImage int
		want              []int
	}{
		{32, 4, []int{0, 4, 8, 12}}, // eight pictures
		{12, 4, []int{0, 1, 4, 8}},  // three
		{8, 4, []int{0, 1, 4, 5}},
		{4, 4, []int{0, 1, 2, 3}},
		{2, 2, []int{0, 1}}, {3, 1, []int{0, 1, 2}}, {0, 4, nil},
	} {
		if got := spread(c.patches, c.perImage, 4); !slices.Equal(got, c.want) {
			t.Errorf("of %d patches, %d of each picture: got %v, want %v", c.patches, c.perImage, got, c.want)
		}
	}
	cfg, exp := untrained(t)
	state, err := loadBest(exp)
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRestorer(cfg, exp, state)
	if err != nil {
		t.Fatal(err)
	}
	set, err := dataset.Open(cfg.ValDegradedDir, cfg.ValCleanDir, cfg.PatchSize, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := restoredPatches(context.Background(), r, set, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 || len(rows[0].Images) != 4 || len(rows[1].Images) != 4 || len(rows[2].Images) != 4 {
		t.Fatalf("got %d rows, want degraded, restored and clean of 4 patches", len(rows))
	}
	// The first picture is noisy; those of b and c are not degraded at all.
	for i, noisy := range []bool{true, true, false, false} {
		if same := slices.Equal(rows[0].Images[i].Pix, rows[2].Images[i].Pix); same == noisy {
			t.Errorf("patch %d is of another picture", i)
		}
	}
}

func TestADamagedBestModelStopsNeitherInferenceNorScores(t *testing.T) {
	cfg, exp := untrained(t)
	cfg.MaxEvalImages = 1
	best := exp.Checkpoints().Path(checkpoint.Best)
	if err := durable.Copy(best, exp.Checkpoints().Path(checkpoint.Last)); err != nil {
		t.Fatal(err)
	}
	for n, use := range []func(config.Config){RestoreSamples, Evaluate} {
		if err := os.Truncate(best, 1000); err != nil {
			t.Fatal(err)
		}
		use(cfg) // an error would end this program
		if s, err := checkpoint.Load(best); err != nil || s.Epoch != 3 {
			t.Errorf("use %d: best_model.pth holds %v, %v", n, s, err)
		}
	}
	if kept, _ := filepath.Glob(best + ".invalid-*"); len(kept) != 2 {
		t.Errorf("kept %q, want both damaged files", kept)
	}
}
