package deadleaves

import (
	"math"

	"rekindle/pkg/rgb"
)

// colour is red, green, blue in 8-bit levels, before clipping.
type colour [3]float32

func (c colour) mix(other colour, share float32) colour {
	for i := range c {
		c[i] += (other[i] - c[i]) * share
	}
	return c
}

func (c colour) plus(other colour, times float32) colour {
	for i := range c {
		c[i] += other[i] * times
	}
	return c
}

// canvas is a picture in floats, rows from the top.
type canvas struct {
	w, h int
	pix  []colour
}

func newCanvas(w, h int) *canvas { return &canvas{w: w, h: h, pix: make([]colour, w*h)} }

func (c *canvas) fill(with colour) {
	for i := range c.pix {
		c.pix[i] = with
	}
}

// at returns the colour nearest to a place that may lie outside.
func (c *canvas) at(x, y float64) colour {
	col := min(max(int(x), 0), c.w-1)
	row := min(max(int(y), 0), c.h-1)
	return c.pix[row*c.w+col]
}

// blur convolves with a Gaussian of deviation sigma pixels, at most 1; beyond
// the border the picture goes on as it ends. It stands for the lens and for the
// grid of the sensor.
func (c *canvas) blur(sigma float64) {
	var taps [4]float32
	sum := 0.0
	for i := range taps {
		v := math.Exp(-float64(i*i) / (2 * sigma * sigma))
		taps[i] = float32(v)
		sum += v
		if i > 0 {
			sum += v
		}
	}
	for i := range taps {
		taps[i] /= float32(sum)
	}
	line := make([]colour, max(c.w, c.h))
	smooth := func(start, step, n int) {
		for i := range n {
			line[i] = c.pix[start+i*step]
		}
		for i := range n {
			v := colour{}.plus(line[i], taps[0])
			for k := 1; k < len(taps); k++ {
				v = v.plus(line[max(i-k, 0)], taps[k]).plus(line[min(i+k, n-1)], taps[k])
			}
			c.pix[start+i*step] = v
		}
	}
	for y := range c.h {
		smooth(y*c.w, 1, c.w)
	}
	for x := range c.w {
		smooth(x, c.w, c.h)
	}
}

// image rounds and clips to 8 bits.
func (c *canvas) image() *rgb.Image {
	im := rgb.New(c.w, c.h)
	for i, p := range c.pix {
		for k, v := range p {
			switch {
			case v >= 255:
				im.Pix[3*i+k] = 255
			case v > 0:
				im.Pix[3*i+k] = uint8(v + 0.5)
			}
		}
	}
	return im
}
