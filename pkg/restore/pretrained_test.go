package restore

import (
	"context"
	"math/rand/v2"
	"testing"

	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/metrics"
	"rekindle/pkg/rgb"
)

// The network that is shipped restores pictures that it has not seen, at the ends
// and in the middle of the noise it was trained for, and keeps those without any.
func TestThePretrainedNetworkRestores(t *testing.T) {
	path, err := Weights(t.TempDir(), "latest", nil)
	if err != nil || path != Pretrained {
		t.Fatalf("before any training: %q, %v", path, err)
	}
	r, err := Opening{Backend: engine(t)}.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	clean := deadleaves.Image(64, 64, rand.New(rand.NewPCG(20, 26)))
	for _, c := range []struct{ sigma, least float64 }{{0, 36}, {25, 26}, {50, 23}} {
		noisy := degrade.Gaussian{Sigma: c.sigma}.Apply(clean, rand.New(rand.NewPCG(1, 2)))
		restored, err := r.Image(context.Background(), noisy.ToImage())
		if err != nil {
			t.Fatal(err)
		}
		before, after := decibels(t, noisy, clean), decibels(t, rgb.FromImage(restored), clean)
		if after < c.least || c.sigma > 0 && after < before+2 {
			t.Errorf("sigma %v: %.2f dB become %.2f", c.sigma, before, after)
		}
		t.Logf("sigma %v: %.2f dB become %.2f", c.sigma, before, after)
	}
}

func decibels(t *testing.T, a, b *rgb.Image) float64 {
	t.Helper()
	s, err := metrics.Compare(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return s.PSNR
}
