package deadleaves

import (
	"math"
	"math/rand/v2"
)

// painter draws one picture.
type painter struct {
	c     *canvas
	r     *rand.Rand
	pal   palette
	tiles [3]*tile
}

func newPainter(c *canvas, r *rand.Rand) *painter {
	p := &painter{c: c, r: r, pal: newPalette(r)}
	for i := range p.tiles {
		p.tiles[i] = newTile(r, between(r, 0.2, 1.2))
	}
	return p
}

// leaf paints one shape and returns the area that it covers.
func (p *painter) leaf(s shape, l layer) float64 {
	r, c := p.r, p.c
	base := p.pal.draw(r)
	if share := l.likeness * math.Exp(-s.radius/12); share > 0 {
		base = base.mix(c.at(s.x, s.y), float32(share))
	}
	second := p.pal.draw(r).plus(base, -1)
	tex := p.texture(s.radius)
	// Most textures are weak; a few reach the contrast of two palette colours.
	strength := float32(l.texture * math.Pow(r.Float64(), 2) * 0.7)
	if l.soft > 2 && s.radius < 4*l.soft {
		tex = nil // out of focus
	}
	// Shading: lit from one side, brighter or darker towards the edge.
	tilt, angle := 0.25*r.NormFloat64()/s.reach, r.Float64()*2*math.Pi
	du, dv := tilt*math.Cos(angle), tilt*math.Sin(angle)
	bulge := 0.2 * r.NormFloat64() / (s.reach * s.reach)
	if s.radius > 5 && r.Float64() < 0.3 {
		p.shadow(s, l)
	}
	soft := max(l.soft, 0.8)
	if r.Float64() < 0.1 {
		soft *= between(r, 1, 4)
	}
	p.each(s, soft, 0, 0, func(pix *colour, u, v, d float64) {
		cover := float32(min(max(0.5-d/soft, 0), 1))
		col := base
		if tex != nil {
			col = col.plus(second, strength*float32(tex(u, v)))
		}
		shade := float32(1 + du*u + dv*v + bulge*(u*u+v*v))
		for i := range col {
			pix[i] += (col[i]*shade - pix[i]) * cover
		}
	})
	return s.area
}

// shadow darkens what lies beside and under a shape.
func (p *painter) shadow(s shape, l layer) {
	r := p.r
	far := s.radius * between(r, 0.05, 0.4)
	angle := r.Float64() * 2 * math.Pi
	soft := max(l.soft, far*between(r, 0.5, 2))
	dark := float32(between(r, 0.1, 0.6))
	p.each(s, soft, far*math.Cos(angle), far*math.Sin(angle), func(pix *colour, _, _, d float64) {
		keep := 1 - dark*float32(min(max(0.5-d/soft, 0), 1))
		for i := range pix {
			pix[i] *= keep
		}
	})
}

// each visits the pixels of a shape moved by (mx, my) whose distance to it is
// less than half the width of its edge.
func (p *painter) each(s shape, soft, mx, my float64, do func(pix *colour, u, v, d float64)) {
	c := p.c
	x, y, reach := s.x+mx, s.y+my, s.reach+soft
	left, right := max(int(x-reach), 0), min(int(x+reach)+1, c.w-1)
	top, bottom := max(int(y-reach), 0), min(int(y+reach)+1, c.h-1)
	for row := top; row <= bottom; row++ {
		v := float64(row) - y
		for col := left; col <= right; col++ {
			u := float64(col) - x
			if d := s.distance(u, v); d < soft/2 {
				do(&c.pix[row*c.w+col], u, v, d)
			}
		}
	}
}

// light varies the brightness smoothly over the picture, as lamps and vignettes do.
func (p *painter) light() {
	r, c := p.r, p.c
	angle := r.Float64() * 2 * math.Pi
	slope := 0.3 * r.NormFloat64() / float64(max(c.w, c.h))
	du, dv := slope*math.Cos(angle), slope*math.Sin(angle)
	for y := range c.h {
		for x := range c.w {
			f := float32(1 + du*float64(x-c.w/2) + dv*float64(y-c.h/2))
			pix := &c.pix[y*c.w+x]
			for i := range pix {
				pix[i] *= f
			}
		}
	}
}
