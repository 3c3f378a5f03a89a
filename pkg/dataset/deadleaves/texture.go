package deadleaves

import (
	"math"
	"math/rand/v2"
)

// tileSize is the side of a noise tile, a power of two.
const tileSize = 128

// tile is noise of mean 0 and deviation 1 that repeats seamlessly.
type tile [tileSize * tileSize]float32

// at interpolates between the tile's cells; any coordinates will do.
func (t *tile) at(x, y float64) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	ax, ay := float32(x-fx), float32(y-fy)
	x0, y0 := int(fx)&(tileSize-1), int(fy)&(tileSize-1)
	x1, y1 := (x0+1)&(tileSize-1), (y0+1)&(tileSize-1)
	top := t[y0*tileSize+x0] + (t[y0*tileSize+x1]-t[y0*tileSize+x0])*ax
	low := t[y1*tileSize+x0] + (t[y1*tileSize+x1]-t[y1*tileSize+x0])*ax
	return float64(top + (low-top)*ay)
}

// newTile sums octaves of smooth noise. Each octave has half the wave length
// and 2^-roughness times the amplitude of the one before: 1 looks like clouds,
// 0 like sand.
func newTile(r *rand.Rand, roughness float64) *tile {
	t := new(tile)
	for cells := 4; cells <= tileSize; cells *= 2 {
		amplitude := float32(math.Pow(float64(cells)/4, -roughness))
		grid := make([]float32, cells*cells)
		for i := range grid {
			grid[i] = float32(r.NormFloat64()) * amplitude
		}
		addOctave(t, grid, cells)
	}
	var sum, squares float64
	for _, v := range t {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	mean := sum / float64(len(t))
	deviation := math.Sqrt(squares/float64(len(t)) - mean*mean)
	for i := range t {
		t[i] = float32((float64(t[i]) - mean) / deviation)
	}
	return t
}

// addOctave adds a grid of values, spread over the tile with smooth steps.
func addOctave(t *tile, grid []float32, cells int) {
	step := tileSize / cells
	for y := range tileSize {
		y0 := y / step
		y1 := (y0 + 1) % cells
		ay := smoothStep(float32(y%step) / float32(step))
		for x := range tileSize {
			x0 := x / step
			x1 := (x0 + 1) % cells
			ax := smoothStep(float32(x%step) / float32(step))
			top := grid[y0*cells+x0] + (grid[y0*cells+x1]-grid[y0*cells+x0])*ax
			low := grid[y1*cells+x0] + (grid[y1*cells+x1]-grid[y1*cells+x0])*ax
			t[y*tileSize+x] += top + (low-top)*ay
		}
	}
}

func smoothStep(x float32) float32 { return x * x * (3 - 2*x) }

// texture is a pattern on a leaf, about -1..1, in pixels from its centre.
type texture func(u, v float64) float64

// texture draws a pattern for a leaf of the given radius, nil for none.
func (p *painter) texture(radius float64) texture {
	r := p.r
	if radius < 3 {
		return nil
	}
	t := p.tiles[r.IntN(len(p.tiles))]
	angle := r.Float64() * 2 * math.Pi
	cos, sin := math.Cos(angle), math.Sin(angle)
	ou, ov := r.Float64()*tileSize, r.Float64()*tileSize
	switch pick := r.Float64(); {
	case pick < 0.25:
		return nil
	case pick < 0.65: // grain, drawn out in one direction like hair, wood or grass
		across := math.Exp(between(r, math.Log(0.15), 0)) // at most one cell a pixel: finer would be aliasing
		along := across * math.Exp(between(r, math.Log(0.1), 0))
		return func(u, v float64) float64 {
			return 0.6 * t.at((u*cos+v*sin)*across+ou, (v*cos-u*sin)*along+ov)
		}
	case pick < 0.80: // patches of two colours
		scale := math.Exp(between(r, math.Log(0.05), math.Log(0.5)))
		sharp, level := between(r, 1, 6), between(r, -1, 1)
		return func(u, v float64) float64 {
			x := sharp * (t.at((u*cos+v*sin)*scale+ou, (v*cos-u*sin)*scale+ov) - level)
			return min(max(x, -1), 1)
		}
	default: // stripes or a grid, bent by noise
		period := math.Exp(between(r, math.Log(3), math.Log(max(4, radius))))
		sharp, wobble := between(r, 1, 5), between(r, 0, 0.3)
		grid := r.Float64() < 0.35
		wave := 2 * math.Pi / period
		return func(u, v float64) float64 {
			a, b := u*cos+v*sin, v*cos-u*sin
			phase := wobble * 2 * math.Pi * t.at(a*0.1+ou, b*0.1+ov)
			x := math.Sin(a*wave + phase)
			if grid {
				x = max(x, math.Sin(b*wave+phase))
			}
			return min(max(sharp*x, -1), 1)
		}
	}
}
