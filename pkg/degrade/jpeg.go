package degrade

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"math/rand/v2"

	"rekindle/pkg/rgb"
)

// JPEG compresses the picture at Quality (1 to 100, as in the IJG's library; the
// standard library's encoder, colour at half resolution) and reads it again.
type JPEG struct {
	Quality int
}

func newJPEG(s Settings) (Degradation, error) {
	if s.JPEGQuality < 1 || s.JPEGQuality > 100 {
		return nil, fmt.Errorf("degrade: JPEGQuality is %d; it must be 1 (worst) to 100", s.JPEGQuality)
	}
	return JPEG{s.JPEGQuality}, nil
}

// Name is "jpeg/quality_10".
func (j JPEG) Name() string { return fmt.Sprintf("jpeg/quality_%d", j.Quality) }

// Apply returns a compressed copy. Nothing is left to chance.
func (j JPEG) Apply(im *rgb.Image, _ *rand.Rand) *rgb.Image {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im.ToImage(), &jpeg.Options{Quality: j.Quality}); err != nil {
		panic(fmt.Errorf("degrade: a picture of %d x %d cannot be a JPEG: %w", im.W, im.H, err)) // larger than 65535 pixels
	}
	out, err := rgb.Decode(b.Bytes())
	if err != nil {
		panic(fmt.Errorf("degrade: the standard library cannot read its own JPEG: %w", err))
	}
	return out
}
