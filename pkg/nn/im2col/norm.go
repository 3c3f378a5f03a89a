package im2col

import (
	"math"

	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn/lowering"
)

// fewChannels is up to where scale and shift of channels are quicker as a
// product with a diagonal matrix than element by element.
const fewChannels = 32

// combine is the sum of scales[j][c]*xs[j] + shift[c]: maps [n, C, p], the rest [C].
func combine(scales, xs []*graph.Node, shift *graph.Node) *graph.Node {
	n, c, p := xs[0].Shape().Dim(0), xs[0].Shape().Dim(1), xs[0].Shape().Dim(2)
	if c <= fewChannels && p > 16 {
		identity := lowering.Constant(shift, eye(c))
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

func eye(n int) lowering.Matrix {
	m := lowering.NewMatrix(n, n)
	for i := range n {
		m.Values[i*n+i] = 1
	}
	return m
}

func (Lowering) Affine(x lowering.Map, scale, shift *graph.Node, relu bool) lowering.Map {
	parts := make([]*graph.Node, len(x.Parts))
	for i, p := range x.Parts {
		parts[i] = combine([]*graph.Node{scale}, []*graph.Node{p}, shift)
		if relu {
			parts[i] = lowering.ReLU(parts[i])
		}
	}
	return with(x, parts, x.C)
}

// BatchNorm goes over all parts. The variance is that of the centred
// values: the mean of squares minus the square of the mean loses all digits
// where the mean is large.
func (Lowering) BatchNorm(x lowering.Map, shares, gamma, beta *graph.Node, epsilon float64, relu bool) (lowering.Map, *graph.Node, *graph.Node) {
	k := len(x.Parts)
	count := float64(x.N * x.H * x.W)
	centred := make([]*graph.Node, k)
	counted := countedIn(x, shares)
	var mean, variance, inverse, scale *graph.Node
	in := append(append([]*graph.Node{}, x.Parts...), gamma, beta)
	parts := lowering.WithGradient(in, func(in []*graph.Node) []*graph.Node {
		var sums, squares []*graph.Node
		for i := range k {
			sums = append(sums, channelSums(counted(i, in[i])))
		}
		mean = graph.MulScalar(lowering.Sum(sums...), 1/count)
		for i := range k {
			centred[i] = graph.Sub(in[i], column(mean, in[i].Shape().Dim(0), in[i].Shape().Dim(2)))
			squares = append(squares, channelDots(counted(i, centred[i]), centred[i]))
		}
		variance = graph.MulScalar(lowering.Sum(squares...), 1/count)
		inverse = graph.Reciprocal(graph.Sqrt(graph.AddScalar(variance, epsilon)))
		scale = graph.Mul(in[k], inverse)
		var out []*graph.Node
		for i := range k {
			y := combine([]*graph.Node{scale}, []*graph.Node{centred[i]}, in[k+1])
			if relu {
				y = lowering.ReLU(y)
			}
			out = append(out, y)
		}
		return out
	}, func(in, out, dz []*graph.Node) []*graph.Node {
		var dys, sums, dots []*graph.Node
		for i := range k {
			dy := dz[i]
			if relu {
				dy = graph.Mul(dy, positive(out[i]))
			}
			dys = append(dys, dy)
			sums = append(sums, channelSums(dy))
			dots = append(dots, channelDots(dy, centred[i]))
		}
		dbeta := lowering.Sum(sums...)
		dgamma := graph.Mul(lowering.Sum(dots...), inverse)
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
	return with(x, parts, x.C), mean, variance
}

// countedIn weighs the images of part i by their shares; nil leaves all alike.
func countedIn(x lowering.Map, shares *graph.Node) func(i int, part *graph.Node) *graph.Node {
	first := 0
	spread := make([]*graph.Node, len(x.Parts))
	for i, p := range x.Parts {
		if shares == nil {
			continue
		}
		images, pixels := p.Shape().Dim(0), p.Shape().Dim(2)
		if isJoined(x) {
			images, pixels = x.N, pixels/x.N
		}
		own := graph.Reshape(graph.Slice(shares, graph.AxisRange(first, first+images)), images, 1)
		own = graph.BroadcastToDims(own, images, pixels)
		first += images
		if isJoined(x) {
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

func (l Lowering) LayerNorm(x lowering.Map, gamma, beta *graph.Node, epsilon float64) lowering.Map {
	share := graph.MulScalar(ones(gamma, 1, x.C, 1, 1), 1/float64(x.C))
	mean := func(x lowering.Map) lowering.Map { return l.Conv1x1(x, share, nil) }
	centred := l.Pointwise(func(n ...*graph.Node) *graph.Node { return graph.Sub(n[0], n[1]) }, x, l.RepeatChannel(mean(x), x.C))
	squares := l.Pointwise(func(n ...*graph.Node) *graph.Node { return graph.Square(n[0]) }, centred)
	inverse := l.Pointwise(func(n ...*graph.Node) *graph.Node {
		return graph.Reciprocal(graph.Sqrt(graph.AddScalar(n[0], epsilon)))
	}, mean(squares))
	normal := l.Pointwise(func(n ...*graph.Node) *graph.Node { return graph.Mul(n[0], n[1]) }, centred, l.RepeatChannel(inverse, x.C))
	return l.Affine(normal, gamma, beta, false)
}
