package train

import (
	"bytes"
	"math"
	"testing"

	"rekindle/pkg/metrics"
	"rekindle/pkg/rgb"
)

// seen remembers what it is shown after each validation.
type seen struct {
	Silent
	epochs                    []int
	degraded, restored, clean [][]*rgb.Image
}

func (s *seen) Validated(epoch int, degraded, restored, clean []*rgb.Image) {
	s.epochs = append(s.epochs, epoch)
	s.degraded, s.restored, s.clean = append(s.degraded, degraded), append(s.restored, restored), append(s.clean, clean)
}

func TestValidationShowsTheSamePatchesAndTheirPSNR(t *testing.T) {
	cfg := tiny(t)
	cfg.NumEpochs, cfg.ValPatchesPerImage, cfg.BatchSize = 2, 1, 2 // three patches of three pictures, in two batches
	pictures(t, cfg.ValCleanDir, cfg.ValDegradedDir, 3, 2)
	s := &seen{}
	result, _ := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{Reporter: s})
	if len(s.epochs) != 2 || s.epochs[1] != 2 {
		t.Fatalf("two epochs are validated, shown are those of %v", s.epochs)
	}
	for k := range 2 {
		if len(s.restored[k]) != patchesShown {
			t.Fatalf("epoch %d: %d patches are shown, want one of each of 3 pictures", k+1, len(s.restored[k]))
		}
		sum := 0.0
		for i, im := range s.restored[k] {
			if !bytes.Equal(s.clean[k][i].Pix, s.clean[0][i].Pix) || !bytes.Equal(s.degraded[k][i].Pix, s.degraded[0][i].Pix) {
				t.Errorf("epoch %d: patch %d is another one than in epoch 1", k+1, i)
			}
			scores, err := metrics.Compare(im, s.clean[k][i])
			if err != nil {
				t.Fatal(err)
			}
			sum += scores.PSNR
		}
		// Rounding to 8 bits is all that lies between the two.
		if got, want := result.History.ValPSNR[k], sum/patchesShown; math.Abs(got-want) > 0.02 {
			t.Errorf("epoch %d: val_psnr is %.4f, the patches have %.4f", k+1, got, want)
		}
	}
	if bytes.Equal(s.restored[0][0].Pix, s.restored[1][0].Pix) {
		t.Error("the network has learnt, but what it makes of a patch is the same")
	}
}

func TestEpochsThatAreNotValidatedHaveNoPSNR(t *testing.T) {
	cfg := tiny(t)
	cfg.ValEvery = 2
	result, _ := mustRun(t, t.Context(), newExperiment(t, cfg), cfg, Options{})
	for i, v := range result.History.ValPSNR {
		if math.IsNaN(v) != math.IsNaN(result.History.ValLoss[i]) {
			t.Errorf("epoch %d: val_psnr %v, val_loss %v", i+1, v, result.History.ValLoss[i])
		}
	}
}
