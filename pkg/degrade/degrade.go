// Package degrade spoils pictures on purpose, so that a network can learn to
// restore them, and keeps folders of spoiled pictures up to date.
//
// Everything is reproducible: what happens to a picture depends only on the
// degradation, the seed and the picture's name.
//
//	d, err := degrade.New("gaussian", degrade.Settings{NoiseSigma: 100})
//	out := filepath.Join("data/degraded", d.Name(), "train") // data/degraded/gaussian/sigma_100/train
//	made, err := degrade.Folder(ctx, "data/raw/train", out, d, 42, nil)
package degrade

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"rekindle/pkg/rgb"
)

// Degradation is one way to spoil a picture.
type Degradation interface {
	// Name tells the kind and its strength, as a path for folders:
	// "gaussian/sigma_100".
	Name() string
	// Apply returns a spoiled copy, drawing all chance from r. It may be called
	// from several goroutines at once, each with its own r.
	Apply(im *rgb.Image, r *rand.Rand) *rgb.Image
	// Margin says what else of the picture decides about a pixel: those up to
	// margin pixels away, and where blocks of grid by grid pixels, counted from
	// the upper left corner, are treated as one, the others of its block. A part
	// of a picture with that much around it, beginning at a block, is spoiled as
	// in the whole picture. 0 and 1 mean that each pixel goes by itself.
	Margin() (margin, grid int)
}

// Noise is a degradation with a level that a network can be told.
type Noise interface {
	Degradation
	// Level is the standard deviation of the noise, in 8-bit levels, before
	// anything is rounded, clipped or compressed: that with which Apply would work
	// if it were given a generator in the state of r. It draws from r.
	Level(r *rand.Rand) float64
	// Levels are the ends of the range that Level draws from.
	Levels() (low, high float64)
}

// ErrUnknown is returned by [New] for a name that is no degradation.
var ErrUnknown = errors.New("unknown degradation")

// Settings are the strengths of all kinds, under the names that they have in a
// configuration. Each kind looks at its own.
type Settings struct {
	NoiseSigma, NoiseSigmaMax             float64 // gaussian, correlated_gaussian: 8-bit levels, from and to
	NoiseUnclipped                        float64 // gaussian: share of patches
	NoiseCorrelation, NoiseCorrelationMax float64 // correlated_gaussian: pixels, from and to
	SensorGain, SensorGainMax             float64 // poisson_gaussian: 8-bit levels an electron, from and to
	ReadNoise, ReadNoiseMax               float64 // poisson_gaussian: 8-bit levels, from and to
	SaltPepperDensity, SaltRatio          float64 // salt_pepper: share of values; share of salt among them
	QuantizationBits                      int     // quantization, dithering/...: bits a channel
	BlurSigma                             float64 // blur: pixels
	MotionLength                          int     // motion_blur: pixels
	MotionAngle                           float64 // motion_blur: degrees to the rows
	JPEGQuality, JPEGQualityMax           int     // jpeg: 1 (worst) to 100, from and to
	LightFactor                           float64 // low_light: so many times less light
}

// kinds makes each degradation from the settings, or says what is wrong with
// them. One file and one line here for each.
var kinds = map[string]func(Settings) (Degradation, error){
	"gaussian":                 newGaussian,
	"gaussian_jpeg":            withJPEG(newGaussian),
	"correlated_gaussian":      newCorrelatedGaussian,
	"correlated_gaussian_jpeg": withJPEG(newCorrelatedGaussian),
	"poisson_gaussian":         newPoissonGaussian,
	"poisson_gaussian_jpeg":    withJPEG(newPoissonGaussian),
	"salt_pepper":              newSaltPepper,
	ditherings[None]:           quantizer(None),
	ditherings[Random]:         quantizer(Random),
	ditherings[FloydSteinberg]: quantizer(FloydSteinberg),
	ditherings[Bayer]:          quantizer(Bayer),
	"blur":                     newBlur,
	"motion_blur":              newMotionBlur,
	"jpeg":                     newJPEG,
	"low_light":                newLowLight,
}

// Names lists the degradations that [New] knows, sorted.
func Names() []string { return slices.Sorted(maps.Keys(kinds)) }

// New finds a degradation by its name in a configuration.
func New(name string, s Settings) (Degradation, error) {
	kind, ok := kinds[name]
	if !ok {
		return nil, fmt.Errorf("degrade: %w %q: known are %s", ErrUnknown, name, strings.Join(Names(), ", "))
	}
	return kind(s)
}

func within(key string, value, least, most float64) error {
	switch {
	case math.IsInf(most, 1) && (!(value >= least) || math.IsInf(value, 0)):
		return fmt.Errorf("degrade: %s is %v; it must be a number of at least %v", key, value, least)
	case !(value >= least && value <= most):
		return fmt.Errorf("degrade: %s is %v; it must be %v to %v", key, value, least, most)
	}
	return nil
}

// span is a strength that is the same for all pictures, or with High above Low
// another for each: any between the two, all equally likely.
type span struct{ Low, High float64 }

// newSpan checks the strength under key and its other end under key+"Max", which
// is 0 where there is none.
func newSpan(key string, low, high, least, most float64) (span, error) {
	if err := within(key, low, least, most); err != nil {
		return span{}, err
	}
	if high == 0 {
		return span{low, low}, nil
	}
	if err := within(key+"Max", high, least, most); err != nil {
		return span{}, err
	}
	if high < low {
		return span{}, fmt.Errorf("degrade: %sMax is %v, below %s (%v); a range goes up, and 0 means one strength for all", key, high, key, low)
	}
	return span{low, high}, nil
}

// draw chooses a strength; where there is no choice, nothing is drawn.
func (s span) draw(r *rand.Rand) float64 {
	if s.High > s.Low {
		return s.Low + (s.High-s.Low)*r.Float64()
	}
	return s.Low
}

// ends are both of the range; a High below Low means none.
func (s span) ends() (low, high float64) { return s.Low, max(s.Low, s.High) }

// String is "25", or "0-55".
func (s span) String() string {
	if s.High > s.Low {
		return number(s.Low) + "-" + number(s.High)
	}
	return number(s.Low)
}

// number is for the names of folders.
func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// Source returns the generator of chance for one picture: it depends on the
// seed and the file's stem alone, not on its folder, its ending, the files
// beside it or the order of work.
func Source(seed int64, fileName string) *rand.Rand {
	h := sha256.New()
	binary.Write(h, binary.LittleEndian, seed)
	h.Write([]byte(rgb.Stem(fileName)))
	sum := h.Sum(nil)
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum), binary.LittleEndian.Uint64(sum[8:])))
}
