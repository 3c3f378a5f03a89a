// Package degrade spoils pictures on purpose, so that a network can learn to
// restore them, and keeps folders of spoiled pictures up to date.
//
// Everything is reproducible: what happens to a picture depends only on the
// degradation, the seed and the picture's name.
//
//	d, err := degrade.New("gaussian", 100)
//	out := filepath.Join("data/degraded", d.Name(), "train") // data/degraded/gaussian/sigma_100/train
//	made, err := degrade.Folder(ctx, "data/raw/train", out, d, 42, nil)
package degrade

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
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
}

// ErrUnknown is returned by [New] for a name that is no degradation.
var ErrUnknown = errors.New("unknown degradation")

// kinds makes each degradation from the noise strength of the configuration.
// One file and one line here for each.
var kinds = map[string]func(sigma float64) Degradation{
	"gaussian": func(sigma float64) Degradation { return Gaussian{Sigma: sigma} },
}

// Names lists the degradations that [New] knows, sorted.
func Names() []string {
	var names []string
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// New finds a degradation by its name in a configuration. sigma is its strength
// in 8-bit levels, at least 0.
func New(name string, sigma float64) (Degradation, error) {
	kind, ok := kinds[name]
	if !ok {
		return nil, fmt.Errorf("degrade: %w %q: known are %s", ErrUnknown, name, strings.Join(Names(), ", "))
	}
	if !(sigma >= 0) || math.IsInf(sigma, 0) {
		return nil, fmt.Errorf("degrade: sigma is %v: must be 0 or more 8-bit levels", sigma)
	}
	return kind(sigma), nil
}

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
