package deadleaves

import (
	"math"
	"math/rand/v2"
)

// Colours are drawn along the axes on which photographs' colours are nearly
// independent (Ohta, Kanade & Sakai, "Color information for region
// segmentation", 1980): intensity (R+G+B)/3, warm against cold (R-B)/2, and
// green against purple (2G-R-B)/4. Means and deviations below are in 8-bit levels
// and of the order found in photographs: intensity varies most, green against purple
// least.
func ohta(intensity, warm, green float64) colour {
	return colour{
		float32(intensity + warm - green*2/3),
		float32(intensity + green*4/3),
		float32(intensity - warm - green*2/3),
	}
}

// palette is the few colours of which a picture is made.
type palette struct {
	colours []colour
	spread  float64 // how far a leaf may be from its palette colour
}

func newPalette(r *rand.Rand) palette {
	p := palette{spread: between(r, 6, 20)}
	mean := between(r, 60, 165)
	contrast := between(r, 40, 90)
	warm, green := 13+18*r.NormFloat64(), -3+4*r.NormFloat64()
	vivid := math.Exp(between(r, math.Log(18), math.Log(45)))
	for range 6 + r.IntN(15) {
		strength := vivid
		if r.Float64() < 0.12 { // flowers, paint, shop signs
			strength = 50
		}
		p.colours = append(p.colours, inGamut(
			mean+contrast*between(r, -1.7, 1.7),
			warm+strength*r.NormFloat64(),
			green+0.3*strength*r.NormFloat64()))
	}
	return p
}

// inGamut takes colour away, not light, from what 8 bits cannot show.
func inGamut(intensity, warm, green float64) colour {
	intensity = min(max(intensity, 2), 253)
	full := ohta(intensity, warm, green)
	grey := float32(intensity)
	share := float32(1)
	for _, v := range full {
		if v > 255 {
			share = min(share, (255-grey)/(v-grey))
		}
		if v < 0 {
			share = min(share, grey/(grey-v))
		}
	}
	return ohta(intensity, warm*float64(share), green*float64(share))
}

// draw picks one of the colours and varies it a little.
func (p palette) draw(r *rand.Rand) colour {
	c := p.colours[r.IntN(len(p.colours))]
	d := ohta(p.spread*r.NormFloat64(), 0.3*p.spread*r.NormFloat64(), 0.12*p.spread*r.NormFloat64())
	return c.plus(d, 1)
}
