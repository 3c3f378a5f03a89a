package nn

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// image is a map [n, c, h, w] of a test, zero outside of it.
type image struct {
	n, c, h, w int
	v          []float64
}

func (m image) at(i, c, y, x int) float64 {
	if y < 0 || y >= m.h || x < 0 || x >= m.w {
		return 0
	}
	return m.v[((i*m.c+c)*m.h+y)*m.w+x]
}

// each fills a map of c channels and the height and width of m.
func (m image) each(c int, f func(i, c, y, x int) float64) image {
	out := image{n: m.n, c: c, h: m.h, w: m.w}
	for k := range m.n * c * m.h * m.w {
		out.v = append(out.v, f(k/(c*m.h*m.w), k/(m.h*m.w)%c, k/m.w%m.h, k%m.w))
	}
	return out
}

func wave(n int, f float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = math.Sin(float64(i*i)*f + float64(i) + 1)
	}
	return v
}

// convolved is a convolution with kernel 3 of one channel at one place.
func (m image) convolved(i, c, y, x, distance int, w []float64) float64 {
	sum := 0.0
	for q := range 9 {
		sum += w[q] * m.at(i, c, y+(q/3-1)*distance, x+(q%3-1)*distance)
	}
	return sum
}

// Layers by their definitions, place by place, in both lowerings; their gradients by
// finite differences.
func TestLayersOfTheFamilyAreWhatTheyAreDefinedAs(t *testing.T) {
	for _, c := range []struct {
		name    string
		layer   func(s *Scope, x Map) Map
		entries []Entry
		want    func(x image, p [][]float64) image
	}{
		{"dilated by 3", Conv3x3{Name: "l", In: 4, Out: 3, Bias: true, Dilation: 3}.forward, Conv3x3{Name: "l", In: 4, Out: 3, Bias: true}.Entries(),
			func(x image, p [][]float64) image {
				return x.each(3, func(i, c, y, at int) float64 {
					sum := p[1][c]
					for k := range 4 {
						sum += x.convolved(i, k, y, at, 3, p[0][(c*4+k)*9:])
					}
					return sum
				})
			}},
		{"depthwise", Depthwise{"l", 4}.Forward, Depthwise{"l", 4}.Entries(), func(x image, p [][]float64) image {
			return x.each(4, func(i, c, y, at int) float64 { return p[1][c] + x.convolved(i, c, y, at, 1, p[0][c*9:]) })
		}},
		{"layer norm", LayerNorm{"l", 4}.Forward, LayerNorm{"l", 4}.Entries(), func(x image, p [][]float64) image {
			return x.each(4, func(i, c, y, at int) float64 {
				mean, variance := 0.0, 0.0
				for k := range 4 {
					mean += x.at(i, k, y, at) / 4
				}
				for k := range 4 {
					variance += (x.at(i, k, y, at) - mean) * (x.at(i, k, y, at) - mean) / 4
				}
				return p[0][c]*(x.at(i, c, y, at)-mean)/math.Sqrt(variance+1e-6) + p[1][c]
			})
		}},
		{"factors", Factors{"l", 4}.Forward, Factors{"l", 4}.Entries(), func(x image, p [][]float64) image {
			return x.each(4, func(i, c, y, at int) float64 { return p[0][c] * x.at(i, c, y, at) })
		}},
		{"simple gate", SimpleGate, nil, func(x image, p [][]float64) image {
			return x.each(2, func(i, c, y, at int) float64 { return x.at(i, c, y, at) * x.at(i, c+2, y, at) })
		}},
		{"channels by their means", func(s *Scope, x Map) Map { return ScaleChannels(s, x, Mean(s, x)) }, nil, func(x image, p [][]float64) image {
			return x.each(4, func(i, c, y, at int) float64 {
				mean := 0.0
				for k := range x.h * x.w {
					mean += x.at(i, c, k/x.w, k%x.w) / float64(x.h*x.w)
				}
				return mean * x.at(i, c, y, at)
			})
		}},
		{"without a bias", Conv1x1{Name: "l", In: 4, Out: 3, NoBias: true}.Forward, Conv1x1{Name: "l", In: 4, Out: 3, NoBias: true}.Entries(), func(x image, p [][]float64) image {
			return x.each(3, func(i, c, y, at int) float64 {
				sum := 0.0
				for k := range 4 {
					sum += p[0][c*4+k] * x.at(i, k, y, at)
				}
				return sum
			})
		}},
	} {
		for how, l := range both {
			for _, d := range [][3]int{{1, 5, 7}, {5, 6, 9}, {2, 4, 40}} {
				t.Run(fmt.Sprintf("%s, %s, %v", c.name, how, d), func(t *testing.T) {
					x := image{n: d[0], c: 4, h: d[1], w: d[2]}
					x.v = wave(x.n*x.c*x.h*x.w, 0.3)
					var names []string
					var parameters [][]float64
					values := map[string]*tensors.Tensor{}
					for k, e := range c.entries {
						size := 1
						for _, d := range e.Shape {
							size *= d
						}
						names, parameters = append(names, e.Name), append(parameters, wave(size, 0.7+float64(k)))
						values[e.Name] = tensors.FromFlatDataAndDimensions(parameters[k], e.Shape...)
					}
					want := c.want(x, parameters)
					dy := wave(len(want.v), 0.9)
					o, err := run(t, l, true, c.layer, names, values, tensors.FromFlatDataAndDimensions(x.v, x.n, x.c, x.h, x.w), tensors.FromFlatDataAndDimensions(dy, want.n, want.c, want.h, want.w))
					if err != nil {
						t.Fatal(err)
					}
					for i, v := range tensors.MustCopyFlatData[float64](o.output) {
						if !(math.Abs(v-want.v[i]) <= 1e-9) {
							t.Fatalf("value %d is %g, want %g", i, v, want.v[i])
						}
					}
					slopes := func(what string, of []float64, got *tensors.Tensor) {
						g := tensors.MustCopyFlatData[float64](got)
						for i := 0; i < len(of); i += 1 + len(of)/17 {
							const step = 1e-5
							old, sum := of[i], 0.0
							for _, sign := range []float64{1, -1} {
								of[i] = old + sign*step
								for k, v := range c.want(x, parameters).v {
									sum += sign * v * dy[k] / (2 * step)
								}
							}
							of[i] = old
							if !(math.Abs(g[i]-sum) <= 1e-5*(1+math.Abs(sum))) {
								t.Fatalf("the slope of %s %d is %g, want %g", what, i, g[i], sum)
							}
						}
					}
					slopes("the map's value", x.v, o.input)
					for k := range parameters {
						slopes(names[k], parameters[k], o.parameters[k])
					}
				})
			}
		}
	}
}

// forward is Forward for one map.
func (c Conv3x3) forward(s *Scope, x Map) Map { return c.Forward(s, x) }
