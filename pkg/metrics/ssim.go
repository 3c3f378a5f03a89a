package metrics

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"rekindle/pkg/rgb"
)

// window is a separable one: the same weights along rows and columns.
type window struct {
	weights []float64
	padded  bool // zeros are taken from beyond the borders, so that the map is as large as the plane
}

var (
	// Built in float32 and then widened, as pytorch_msssim does, so that scores
	// agree with the training loss to the last digits.
	gaussian = window{weights: []float64{
		0.0010283803567290306, 0.0075987582094967365, 0.036000773310661316, 0.10936068743467331, 0.21300552785396576, 0.26601171493530273,
		0.21300552785396576, 0.10936068743467331, 0.036000773310661316, 0.0075987582094967365, 0.0010283803567290306,
	}}
	box = window{weights: []float64{1. / 11, 1. / 11, 1. / 11, 1. / 11, 1. / 11, 1. / 11, 1. / 11, 1. / 11, 1. / 11, 1. / 11, 1. / 11}, padded: true}
)

// Constants of the SSIM formula for a range of 1 (K1 = 0.01, K2 = 0.03 in the paper).
const (
	c1 = 0.01 * 0.01
	c2 = 0.03 * 0.03
)

// along is the window for a side of n values, and how many zeros are put
// before it: a side that the window does not fit into is not smoothed.
func (k window) along(n int) (weights []float64, zeros int) {
	switch {
	case k.padded:
		return k.weights, len(k.weights) / 2
	case n < len(k.weights):
		return []float64{1}, 0
	}
	return k.weights, 0
}

// rows reads row y of a plane into dst.
type rows func(dst []float64, plane, y int)

// planes are two pictures of n planes each.
type planes struct {
	n, h, w      int
	readA, readB rows
}

func picture(im *rgb.Image) rows {
	return func(dst []float64, plane, y int) {
		pix := im.Pix[y*im.W*3:]
		for x := range dst {
			dst[x] = float64(pix[3*x+plane]) / 255
		}
	}
}

func similarity[T float32 | float64](a, b []T, h, w int, k window) (float64, error) {
	if h < 1 || w < 1 || len(a) == 0 || len(a)%(h*w) != 0 || len(a) != len(b) {
		return math.NaN(), fmt.Errorf("metrics: %d and %d values are not two pictures of planes of %dx%d", len(a), len(b), h, w)
	}
	from := func(values []T) rows {
		return func(dst []float64, plane, y int) {
			for x, v := range values[(plane*h+y)*w : (plane*h+y+1)*w] {
				dst[x] = float64(v)
			}
		}
	}
	return planes{len(a) / (h * w), h, w, from(a), from(b)}.similarity(k), nil
}

// similarity is the mean of the SSIM map. The map is made in bands of rows, at
// the same time on all cores, and summed row by row in order, so that the result
// does not depend on the number of cores.
func (p planes) similarity(k window) float64 {
	down, above := k.along(p.h)
	across, before := k.along(p.w)
	height, width := p.h+2*above-len(down)+1, p.w+2*before-len(across)+1
	const band = 64 // rows; each reads 10 rows of its neighbours again
	bands := (height + band - 1) / band
	sums := make([]float64, p.n*height)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), p.n*bands) {
		workers.Go(func() {
			s := newStrip(p, down, across, above, before, width)
			for {
				i := int(next.Add(1)) - 1
				if i >= p.n*bands {
					return
				}
				plane, first := i/bands, i%bands*band
				s.measure(plane, first, sums[plane*height+first:plane*height+min(first+band, height)])
			}
		})
	}
	workers.Wait()
	total := 0.0
	for _, v := range sums {
		total += v
	}
	return total / float64(len(sums)*width)
}

// strip slides over the rows of a plane. With s = a+b and d = a-b, it smooths s,
// d, s^2 and d^2: from their means and variances follow those of a and b, as
// 4ab = s^2 - d^2 and 2(a^2 + b^2) = s^2 + d^2.
type strip struct {
	planes
	down, across  []float64
	above, before int
	a, b          []float64
	row           [4][]float64   // s, d, s^2, d^2 with zeros around
	smoothed      [4][][]float64 // the last rows, smoothed across; row y is at y modulo their number
	mean          [4][]float64   // smoothed both ways
}

func newStrip(p planes, down, across []float64, above, before, width int) *strip {
	s := &strip{planes: p, down: down, across: across, above: above, before: before, a: make([]float64, p.w), b: make([]float64, p.w)}
	for i := range s.row {
		s.row[i] = make([]float64, p.w+2*before)
		s.mean[i] = make([]float64, width)
		for range down {
			s.smoothed[i] = append(s.smoothed[i], make([]float64, width))
		}
	}
	return s
}

// measure writes the sums of the SSIM map's rows from first on.
func (s *strip) measure(plane, first int, sums []float64) {
	taps := len(s.down)
	for y := first; y < first+taps-1; y++ {
		s.load(plane, y)
	}
	for i := range sums {
		y := first + i
		s.load(plane, y+taps-1)
		for q := range s.mean {
			clear(s.mean[q])
			for k, weight := range s.down {
				accumulate(s.mean[q], s.smoothed[q][(y+k)%taps], weight)
			}
		}
		sums[i] = s.sum()
	}
}

// load smooths a row across. Rows are counted with the zeros above the plane.
func (s *strip) load(plane, y int) {
	slot := y % len(s.down)
	for q := range s.smoothed {
		clear(s.smoothed[q][slot])
	}
	if y < s.above || y >= s.above+s.h {
		return
	}
	s.readA(s.a, plane, y-s.above)
	s.readB(s.b, plane, y-s.above)
	for x := range s.a {
		sum, difference := s.a[x]+s.b[x], s.a[x]-s.b[x]
		at := s.before + x
		s.row[0][at], s.row[1][at], s.row[2][at], s.row[3][at] = sum, difference, sum*sum, difference*difference
	}
	for q, row := range s.row {
		for k, weight := range s.across {
			accumulate(s.smoothed[q][slot], row[k:], weight)
		}
	}
}

// accumulate adds weight times values to sum.
func accumulate(sum, values []float64, weight float64) {
	values = values[:len(sum)]
	for i, v := range values {
		sum[i] += weight * v
	}
}

// sum adds the SSIM map along the row whose means are ready.
func (s *strip) sum() float64 {
	total := 0.0
	for x, sum := range s.mean[0] {
		p, q := sum*sum, s.mean[1][x]*s.mean[1][x]
		v, w := s.mean[2][x]-p, s.mean[3][x]-q // variances of s and d
		luminance := (p - q + 2*c1) / (p + q + 2*c1)
		structure := (v - w + 2*c2) / (v + w + 2*c2)
		total += luminance * structure
	}
	return total
}
