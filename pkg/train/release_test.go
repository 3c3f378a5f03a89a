package train

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/durable"
	"rekindle/pkg/internal/bitwise"
	"rekindle/pkg/rgb"
)

// released is the run that testdata/release holds: stopped in its second epoch,
// with an average of the weights.
func released(t *testing.T) config.Config {
	t.Helper()
	cfg := tinyUNet(t)
	cfg.ModelFeatures, cfg.EMADecay, cfg.LossBeta, cfg.NumWorkers = 1, 0.9, 0.16, 1
	for i, dir := range []string{cfg.TrainCleanDir, cfg.TrainDegradedDir, cfg.ValCleanDir, cfg.ValDegradedDir} {
		for k := range 2 {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			im := rgb.New(40, 40)
			for p := range im.Pix {
				im.Pix[p] = uint8(p*(k+2)/7 + i%2*(p*p%61))
			}
			if err := im.SavePNG(filepath.Join(dir, fmt.Sprintf("%d.png", k))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return cfg
}

// TestARunOfAnEarlierReleaseGoesOn: testdata/release was written by commit
// f30bdb7, the State it stopped with and the one it went on to. Engines round
// otherwise on other processors; where this one does as that one did, the end is
// the same bit for bit.
func TestARunOfAnEarlierReleaseGoesOn(t *testing.T) {
	cfg := released(t)
	here := newExperiment(t, cfg)
	ctx, w := interruptAfter(5 + 3)
	_, stoppedHere := mustRun(t, ctx, here, cfg, Options{Reporter: w})
	read := func(name string) *checkpoint.State {
		s, err := checkpoint.Load(filepath.Join("testdata/release", name))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	stopped, completed := read("stopped.pth"), read("completed.pth")
	if want := (checkpoint.Cursor{Epoch: 1, Position: 12, Step: 8}); stopped.Cursor != want || !stopped.HasAverage() || stopped.Config.EMADecay != 0.9 {
		t.Fatalf("the released run is read as %+v, with an average: %v", stopped.Cursor, stopped.HasAverage())
	}

	exp := newExperiment(t, cfg)
	for from, to := range map[string]string{"stopped.pth": "checkpoints/emergency_checkpoint_interrupt_epoch_2.pth", "history.json": "history.json", "config.json": "config.json"} {
		if err := durable.Copy(filepath.Join("testdata/release", from), filepath.Join(exp.Dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	cfg.ResumeFromCheckpoint = true
	result, got := mustRun(t, t.Context(), exp, cfg, Options{})
	if result.Outcome != Completed {
		t.Errorf("ended as %q", result.Outcome)
	}
	if slices.EqualFunc(stoppedHere.Model, stopped.Model, func(a, b checkpoint.Tensor) bool { return slices.Equal(a.Values, b.Values) }) {
		bitwise.SameTraining(t, got, completed)
		return
	}
	t.Log("this processor rounds otherwise than the one that the fixture was made on")
	for i, want := range completed.History.ValLoss {
		if loss := got.History.ValLoss[i]; !(math.Abs(loss-want) < 1e-3*want) {
			t.Errorf("epoch %d: validation loss %g, want about %g", i+1, loss, want)
		}
	}
}
