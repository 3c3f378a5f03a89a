// Package deadleaves draws "dead leaves" pictures: random shapes that cover each
// other, with the statistics of photographs but without a photograph.
//
// Shapes whose sizes follow a power law and that hide one another give edges at
// all scales, which is what makes photographs look alike to a small filter
// (Lee, Mumford & Huang, "Occlusion models for natural images", 2001). Networks
// trained on such pictures restore photographs nearly as well as networks
// trained on photographs (Achddou, Gousseau & Ladjal, "Synthetic images as a
// regularity prior for image restoration neural networks", 2021). Use them
// where there are no photographs, or to try things out without a download.
//
//	r := rand.New(rand.NewPCG(1, 2))
//	err := deadleaves.Image(384, 384, r).SavePNG("leaves.png")
package deadleaves

import (
	"math"
	"math/rand/v2"

	"rekindle/pkg/rgb"
)

// Image draws a picture of w columns and h rows. It is a function of r's
// numbers alone. The smallest details are about a pixel wide whatever the size;
// the largest shapes fill the picture.
func Image(w, h int, r *rand.Rand) *rgb.Image {
	c := newCanvas(w, h)
	p := newPainter(c, r)
	c.fill(p.pal.draw(r))
	for _, layer := range p.layers() {
		p.paint(layer)
	}
	p.light()
	c.blur(between(r, 0.25, 0.8))
	return c.image()
}

// layer is one sheet of leaves at one distance from the camera.
type layer struct {
	smallest, largest float64 // radius of the shapes, pixels
	exponent          float64 // number of shapes of radius ρ per length falls as ρ^-exponent
	cover             float64 // area painted over all, in areas of the picture
	soft              float64 // width of the edges, pixels: small in focus, large far from it
	texture           float64 // strength of textures, 0..1
	likeness          float64 // how much small shapes take the colour of what they lie on, 0..1
}

// layers plans a picture: a background, perhaps out of focus, and what stands
// before it.
func (p *painter) layers() []layer {
	r := p.r
	size := float64(max(p.c.w, p.c.h))
	sharp := layer{
		smallest: between(r, 1, 3),
		largest:  size * between(r, 0.25, 0.8),
		exponent: between(r, 2.6, 3.1), // 3 gives equal area to each octave of sizes and is scale invariant
		cover:    between(r, 3, 6),
		soft:     between(r, 0.8, 1.6),
		texture:  1,
		likeness: between(r, 0, 0.8),
	}
	behind := sharp
	behind.smallest = between(r, 4, 20)
	behind.cover = 4
	behind.soft = between(r, 2, 12)
	behind.texture = 0.3
	switch pick := r.Float64(); {
	case pick < 0.35:
		return []layer{sharp}
	case pick < 0.8: // an object in focus before a blurred background
		front := sharp
		front.cover = between(r, 0.3, 1.2)
		return []layer{behind, front}
	default: // large calm areas, a few details
		front := sharp
		front.smallest = between(r, 2, 6)
		front.exponent = between(r, 2, 2.5)
		front.cover = between(r, 1, 3)
		return []layer{behind, front}
	}
}

// paint throws shapes until they have covered enough.
func (p *painter) paint(l layer) {
	goal := l.cover * float64(p.c.w*p.c.h)
	for area := 0.0; area < goal; {
		radius := powerLaw(p.r, l.smallest, l.largest, l.exponent)
		s := p.shape(radius)
		area += p.leaf(s, l)
	}
}

// powerLaw draws from the density proportional to x^-exponent between lo and hi.
func powerLaw(r *rand.Rand, lo, hi, exponent float64) float64 {
	k := 1 - exponent
	a, b := math.Pow(lo, k), math.Pow(hi, k)
	return math.Pow(a+(b-a)*r.Float64(), 1/k)
}

func between(r *rand.Rand, lo, hi float64) float64 { return lo + (hi-lo)*r.Float64() }
