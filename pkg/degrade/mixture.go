package degrade

import (
	"math/rand/v2"
	"strings"

	"rekindle/pkg/rgb"
)

// NoisyJPEG is noise that was compressed with the picture, as most photographs
// have it: coarser than before, in blocks, and weak where the compression took it
// for nothing.
type NoisyJPEG struct {
	Noise Noise
	JPEG  JPEG
}

func withJPEG(noise func(Settings) (Degradation, error)) func(Settings) (Degradation, error) {
	return func(s Settings) (Degradation, error) {
		first, err := noise(s)
		if err != nil {
			return nil, err
		}
		second, err := newJPEG(s)
		if err != nil {
			return nil, err
		}
		return NoisyJPEG{first.(Noise), second.(JPEG)}, nil
	}
}

// Name is "gaussian_jpeg/sigma_25_quality_50": kinds and strengths of both.
func (n NoisyJPEG) Name() string {
	kind, strength, _ := strings.Cut(n.Noise.Name(), "/")
	return kind + "_jpeg/" + strength + "_quality_" + n.JPEG.qualities()
}

// Margin is that of JPEG; noise has none.
func (n NoisyJPEG) Margin() (margin, grid int) { return n.JPEG.Margin() }

// Level is that of the noise before the compression.
func (n NoisyJPEG) Level(r *rand.Rand) float64 { return n.Noise.Level(r) }

// Levels are those of the noise before the compression.
func (n NoisyJPEG) Levels() (low, high float64) { return n.Noise.Levels() }

// Apply returns a noisy copy that was compressed.
func (n NoisyJPEG) Apply(im *rgb.Image, r *rand.Rand) *rgb.Image {
	return n.JPEG.Apply(n.Noise.Apply(im, r), r)
}
