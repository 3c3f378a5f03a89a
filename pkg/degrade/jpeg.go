package degrade

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"math/rand/v2"

	"rekindle/pkg/rgb"
)

// JPEG compresses the picture at Quality (1 to 100, as in the IJG's library; the
// standard library's encoder, colour at half resolution) and reads it again. With
// Max above Quality each picture has a quality of its own between the two.
type JPEG struct {
	Quality, Max int
}

func newJPEG(s Settings) (Degradation, error) {
	quality, err := newSpan("JPEGQuality", float64(s.JPEGQuality), float64(s.JPEGQualityMax), 1, 100)
	return JPEG{int(quality.Low), int(quality.High)}, err
}

// Name is "jpeg/quality_10", or "jpeg/quality_10-95".
func (j JPEG) Name() string { return "jpeg/quality_" + j.qualities() }

func (j JPEG) qualities() string { return span{float64(j.Quality), float64(j.Max)}.String() }

// Margin is a block of the coarser grid, that of the colours; no block knows
// another.
func (j JPEG) Margin() (margin, grid int) { return 0, mcu }

const (
	mcu     = 16           // side of the blocks, pixels: 8, at half the resolution
	largest = 65535 &^ 0xf // side that a JPEG can have, in whole blocks
)

// Apply returns a compressed copy. Nothing but the quality is left to chance. A
// picture too large for one JPEG is compressed in parts; as blocks are
// independent, they do not show.
func (j JPEG) Apply(im *rgb.Image, r *rand.Rand) *rgb.Image {
	if j.Max > j.Quality {
		j = JPEG{Quality: j.Quality + r.IntN(j.Max-j.Quality+1)}
	}
	if im.W <= largest && im.H <= largest {
		return j.compressed(im)
	}
	out := rgb.New(im.W, im.H)
	for top := 0; top < im.H; top += largest {
		for left := 0; left < im.W; left += largest {
			part := j.compressed(im.Crop(left, top, min(largest, im.W-left), min(largest, im.H-top)))
			for y := range part.H {
				copy(out.Pix[((top+y)*im.W+left)*3:], part.Pix[y*part.W*3:][:part.W*3])
			}
		}
	}
	return out
}

func (j JPEG) compressed(im *rgb.Image) *rgb.Image {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im.ToImage(), &jpeg.Options{Quality: j.Quality}); err != nil {
		panic(fmt.Errorf("degrade: a picture of %d x %d cannot be a JPEG: %w", im.W, im.H, err))
	}
	out, err := rgb.Decode(b.Bytes())
	if err != nil {
		panic(fmt.Errorf("degrade: the standard library cannot read its own JPEG: %w", err))
	}
	return out
}
