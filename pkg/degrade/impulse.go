package degrade

import (
	"math/rand/v2"

	"rekindle/pkg/rgb"
)

// SaltPepper replaces values by the extremes: each value of each channel, with
// probability Density, by 255 (salt, with probability SaltRatio) or by 0
// (pepper). Both are in 0..1.
type SaltPepper struct {
	Density, SaltRatio float64
}

func newSaltPepper(s Settings) (Degradation, error) {
	if err := within("SaltPepperDensity", s.SaltPepperDensity, 0, 1); err != nil {
		return nil, err
	}
	if err := within("SaltRatio", s.SaltRatio, 0, 1); err != nil {
		return nil, err
	}
	return SaltPepper{s.SaltPepperDensity, s.SaltRatio}, nil
}

// Name is "salt_pepper/density_0.05", and the ratio where it is not a half.
func (n SaltPepper) Name() string {
	name := "salt_pepper/density_" + number(n.Density)
	if n.SaltRatio != 0.5 {
		name += "_salt_" + number(n.SaltRatio)
	}
	return name
}

// Margin is nothing.
func (n SaltPepper) Margin() (margin, grid int) { return 0, 1 }

// Apply returns a copy with impulses.
func (n SaltPepper) Apply(im *rgb.Image, r *rand.Rand) *rgb.Image {
	out := rgb.New(im.W, im.H)
	for i, v := range im.Pix {
		out.Pix[i] = v
		if r.Float64() < n.Density {
			out.Pix[i] = 0
			if r.Float64() < n.SaltRatio {
				out.Pix[i] = 255
			}
		}
	}
	return out
}
