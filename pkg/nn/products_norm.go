package nn

import (
	"math"

	"github.com/gomlx/gomlx/core/graph"
)

// fewChannels is up to where scale and shift of channels are quicker as a
// product with a diagonal matrix than element by element.
const fewChannels = 32

// combine is the sum of scales[j][c]*xs[j] + shift[c]: maps [n, C, p], the rest [C].
func combine(scales, xs []*graph.Node, shift *graph.Node) *graph.Node {
	n, c, p := xs[0].Shape().Dim(0), xs[0].Shape().Dim(1), xs[0].Shape().Dim(2)
	if c <= fewChannels && p > 16 {
		identity := constant(shift, eye(c))
		var m, x []*graph.Node
		for j := range xs {
			m = append(m, graph.Mul(identity, graph.BroadcastToDims(graph.Reshape(scales[j], c, 1), c, c)))
			x = append(x, xs[j])
		}
		m = append(m, graph.Reshape(shift, c, 1))
		x = append(x, ones(shift, n, 1, p))
		return batched(stacked(graph.Concatenate(m, 1), n), graph.Concatenate(x, 1))
	}
	y := column(shift, n, p)
	for j := range xs {
		y = graph.Add(y, graph.Mul(column(scales[j], n, p), xs[j]))
	}
	return y
}

func eye(n int) matrix {
	m := matrix{n, n, make([]float64, n*n)}
	for i := range n {
		m.values[i*n+i] = 1
	}
	return m
}

func (products) affine(x Map, scale, shift *graph.Node, rectify bool) Map {
	parts := make([]*graph.Node, len(x.parts))
	for i, p := range x.parts {
		parts[i] = combine([]*graph.Node{scale}, []*graph.Node{p}, shift)
		if rectify {
			parts[i] = relu(parts[i])
		}
	}
	return x.with(parts, x.C)
}

// normalize is batch norm over all parts. The variance is that of the centred
// values: the mean of squares minus the square of the mean loses all digits
// where the mean is large.
func (products) normalize(x Map, shares, gamma, beta *graph.Node, rectify bool) (Map, *graph.Node, *graph.Node) {
	k := len(x.parts)
	count := float64(x.n * x.H * x.W)
	centred := make([]*graph.Node, k)
	counted := countedIn(x, shares)
	var mean, variance, inverse, scale *graph.Node
	in := append(append([]*graph.Node{}, x.parts...), gamma, beta)
	parts := custom(in, func(in []*graph.Node) []*graph.Node {
		var sums, squares []*graph.Node
		for i := range k {
			sums = append(sums, channelSums(counted(i, in[i])))
		}
		mean = graph.MulScalar(sum(sums), 1/count)
		for i := range k {
			centred[i] = graph.Sub(in[i], column(mean, in[i].Shape().Dim(0), in[i].Shape().Dim(2)))
			squares = append(squares, channelDots(counted(i, centred[i]), centred[i]))
		}
		variance = graph.MulScalar(sum(squares), 1/count)
		inverse = graph.Reciprocal(graph.Sqrt(graph.AddScalar(variance, normEpsilon)))
		scale = graph.Mul(in[k], inverse)
		var out []*graph.Node
		for i := range k {
			y := combine([]*graph.Node{scale}, []*graph.Node{centred[i]}, in[k+1])
			if rectify {
				y = relu(y)
			}
			out = append(out, y)
		}
		return out
	}, func(in, out, dz []*graph.Node) []*graph.Node {
		var dys, sums, dots []*graph.Node
		for i := range k {
			dy := dz[i]
			if rectify {
				dy = graph.Mul(dy, positive(out[i]))
			}
			dys = append(dys, dy)
			sums = append(sums, channelSums(dy))
			dots = append(dots, channelDots(dy, centred[i]))
		}
		dbeta := sum(sums)
		dgamma := graph.Mul(sum(dots), inverse)
		// dx = scale * (dy - mean(dy) - normalised * mean(dy * normalised))
		fromCentred := graph.MulScalar(graph.Mul(graph.Mul(scale, inverse), dgamma), -1/count)
		fromAll := graph.MulScalar(graph.Mul(scale, dbeta), -1/count)
		grads := make([]*graph.Node, k+2)
		for i := range k {
			if shares == nil {
				grads[i] = combine([]*graph.Node{scale, fromCentred}, []*graph.Node{dys[i], centred[i]}, fromAll)
				continue
			}
			through := combine([]*graph.Node{scale}, []*graph.Node{dys[i]}, graph.ZerosLike(fromAll))
			byStatistics := combine([]*graph.Node{fromCentred}, []*graph.Node{centred[i]}, fromAll)
			grads[i] = graph.Add(through, counted(i, byStatistics))
		}
		grads[k], grads[k+1] = dgamma, dbeta
		return grads
	})
	return x.with(parts, x.C), mean, variance
}

// countedIn weighs the images of part i by their shares; nil leaves all alike.
func countedIn(x Map, shares *graph.Node) func(i int, part *graph.Node) *graph.Node {
	first := 0
	spread := make([]*graph.Node, len(x.parts))
	for i, p := range x.parts {
		if shares == nil {
			continue
		}
		images, pixels := p.Shape().Dim(0), p.Shape().Dim(2)
		if x.together {
			images, pixels = x.n, pixels/x.n
		}
		own := graph.Reshape(graph.Slice(shares, graph.AxisRange(first, first+images)), images, 1)
		own = graph.BroadcastToDims(own, images, pixels)
		first += images
		if x.together {
			own = graph.Reshape(own, 1, images*pixels)
		}
		spread[i] = graph.BroadcastToShape(graph.Reshape(own, p.Shape().Dim(0), 1, p.Shape().Dim(2)), p.Shape())
	}
	return func(i int, part *graph.Node) *graph.Node {
		if shares == nil {
			return part
		}
		return graph.Mul(part, spread[i])
	}
}

// positive is 1 where x is above 0 and 0 where it is 0, for an x that is never
// negative. Sign and Where say the same with a branch for each value, which the
// processor guesses wrongly half of the time. (Of numbers below 3e-39 it is a
// part of 1, which no gradient will notice.)
func positive(x *graph.Node) *graph.Node {
	return graph.MinScalar(graph.MulScalar(x, math.MaxFloat32), 1)
}
