package deadleaves

import (
	"math"
	"math/rand/v2"
)

// shape is a leaf's outline: distance is negative inside, and in pixels near
// the edge. Coordinates are relative to the centre.
type shape struct {
	x, y     float64 // centre on the canvas
	radius   float64 // the size that was drawn
	reach    float64 // nothing lies farther from the centre than this
	area     float64 // roughly
	distance func(u, v float64) float64
}

// shape draws an outline of the given radius anywhere on the canvas or so near
// to it that it may touch it.
func (p *painter) shape(radius float64) shape {
	r := p.r
	s := shape{radius: radius, reach: radius, area: math.Pi * radius * radius}
	s.x = between(r, -radius, float64(p.c.w)+radius)
	s.y = between(r, -radius, float64(p.c.h)+radius)
	switch pick := r.Float64(); {
	case pick < 0.15:
		s.distance = disk(radius)
	case pick < 0.40:
		flat := between(r, 0.25, 1)
		s.area *= flat
		s.distance = turned(r, ellipse(radius, radius*flat))
	case pick < 0.60:
		angle := between(r, 0.1, math.Pi/2-0.1)
		a, b := radius*math.Cos(angle), radius*math.Sin(angle)
		s.area = 4 * a * b
		s.distance = turned(r, box(a, b))
	case pick < 0.88:
		s.area *= 0.7
		s.distance = polygon(r, radius)
	default:
		width := max(0.5, radius*between(r, 0.02, 0.12))
		s.area = 4 * radius * width
		s.reach = radius*1.5 + width
		s.distance = stroke(r, radius, width)
	}
	if radius > 4 && r.Float64() < 0.6 {
		s = p.bend(s)
	}
	return s
}

func disk(radius float64) func(u, v float64) float64 {
	return func(u, v float64) float64 { return math.Sqrt(u*u+v*v) - radius }
}

// ellipse has half axes a and b. The distance is first order, exact at the edge.
func ellipse(a, b float64) func(u, v float64) float64 {
	ia, ib := 1/a, 1/b
	return func(u, v float64) float64 {
		u, v = u*ia, v*ib
		k := math.Sqrt(u*u + v*v)
		u, v = u*ia, v*ib
		if k == 0 {
			return -min(a, b)
		}
		return k * (k - 1) / math.Sqrt(u*u+v*v)
	}
}

// box is a rectangle with half sides a and b.
func box(a, b float64) func(u, v float64) float64 {
	return func(u, v float64) float64 {
		u, v = math.Abs(u)-a, math.Abs(v)-b
		if u > 0 && v > 0 {
			return math.Sqrt(u*u + v*v)
		}
		return max(u, v)
	}
}

// polygon is convex with three to seven sides.
func polygon(r *rand.Rand, radius float64) func(u, v float64) float64 {
	n := 3 + r.IntN(5)
	type side struct{ u, v, d float64 }
	sides := make([]side, n)
	for i := range sides {
		angle := (float64(i) + between(r, -0.35, 0.35)) * 2 * math.Pi / float64(n)
		sides[i] = side{math.Cos(angle), math.Sin(angle), radius * between(r, 0.45, 0.9)}
	}
	start := r.Float64() * 2 * math.Pi
	cos, sin := math.Cos(start), math.Sin(start)
	return func(u, v float64) float64 {
		u, v = u*cos+v*sin, v*cos-u*sin
		d := math.Sqrt(u*u+v*v) - radius // keeps sharp corners from running away
		for _, s := range sides {
			d = max(d, u*s.u+v*s.v-s.d)
		}
		return d
	}
}

// stroke is a bent line of the given half width, thinner towards one end.
func stroke(r *rand.Rand, length, width float64) func(u, v float64) float64 {
	const pieces = 6
	var points [pieces + 1][2]float64
	angle, turn := r.Float64()*2*math.Pi, between(r, -0.5, 0.5)
	for i := 1; i <= pieces; i++ {
		step := 2 * length / pieces
		points[i] = [2]float64{points[i-1][0] + step*math.Cos(angle), points[i-1][1] + step*math.Sin(angle)}
		angle += turn
	}
	mid := points[pieces/2]
	taper := between(r, 0, 0.9)
	return func(u, v float64) float64 {
		u, v = u+mid[0], v+mid[1]
		best := math.Inf(1)
		for i := range pieces {
			a, b := points[i], points[i+1]
			du, dv := b[0]-a[0], b[1]-a[1]
			t := ((u-a[0])*du + (v-a[1])*dv) / (du*du + dv*dv)
			t = min(max(t, 0), 1)
			eu, ev := u-a[0]-t*du, v-a[1]-t*dv
			best = min(best, math.Sqrt(eu*eu+ev*ev)-width*(1-taper*(float64(i)+t)/pieces))
		}
		return best
	}
}

func turned(r *rand.Rand, distance func(u, v float64) float64) func(u, v float64) float64 {
	angle := r.Float64() * 2 * math.Pi
	cos, sin := math.Cos(angle), math.Sin(angle)
	return func(u, v float64) float64 { return distance(u*cos+v*sin, v*cos-u*sin) }
}

// bend makes an outline irregular by moving the plane under it with noise.
func (p *painter) bend(s shape) shape {
	r := p.r
	tile := p.tiles[r.IntN(len(p.tiles))]
	scale := between(r, 8, 40) / s.radius // tile cells per pixel: a few waves along the outline
	scale = min(scale, 1)
	strength := s.radius * between(r, 0.02, 0.15)
	ou, ov := r.Float64()*tileSize, r.Float64()*tileSize
	inner := s.distance
	s.distance = func(u, v float64) float64 {
		a, b := u*scale+ou, v*scale+ov
		return inner(u+strength*tile.at(a, b), v+strength*tile.at(b+0.5*tileSize, a))
	}
	s.reach += 3 * strength
	return s
}
