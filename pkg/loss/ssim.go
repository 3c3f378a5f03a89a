package loss

import "github.com/gomlx/gomlx/core/graph"

// similarity is the SSIM formula: its window, and its two constants for a data
// range of 1.
type similarity struct {
	blur
	c1, c2 float64
}

// standard has the constants of the paper, K1 = 0.01 and K2 = 0.03.
func standard(b blur) similarity { return similarity{b, 0.01 * 0.01, 0.03 * 0.03} }

// sums returns the sum of |a-b| and the sum of the SSIM map for planes
// [m, h, w] in [-1, 1].
//
// The images are taken as s = a+b and d = a-b. With M and D their blurs (M of
// s+2, as the values belong to [0, 1]), V and W their local variances,
//
//	P = M^2 + 8 c1,  Q = D^2,  V' = V + 8 c2
//	SSIM = (P - Q) / (P + Q) * (V' - W) / (V' + W)
//
// is the textbook formula for (a+1)/2 and (b+1)/2: 8 mu_a mu_b is M^2 - D^2, and
// so on. It needs four blurs instead of five, and the variances come from values
// around 0, so that E[x^2] - E[x]^2 loses less than in [0, 1]. Where a equals b
// the result is exactly 1.
func (f similarity) sums(a, b *graph.Node) (absolute, ssim *graph.Node) {
	h, w := a.Shape().Dim(1), a.Shape().Dim(2)
	// The float32 window adds up to a little less than 1. PyTorch squares
	// values in [0, 1]; gap gives the same share of the offset to these.
	weight := f.weight(h, w)
	gap := 1 - weight

	var s, d, S, D, M, P, Q, V, W, perMean, perVariance, luminance, structure *graph.Node
	forward := func(a, b *graph.Node) (absolute, ssim *graph.Node) {
		s, d = graph.Add(a, b), graph.Sub(a, b)
		S, D = f.forward(s), f.forward(d)
		M = graph.AddScalar(S, 2*weight)
		P, Q = graph.AddScalar(graph.Square(M), 8*f.c1), graph.Square(D)
		V = graph.Sub(f.forward(graph.Square(s)), graph.Mul(S, graph.AddScalar(S, -4*gap)))
		V = graph.AddScalar(V, 4*weight*gap+8*f.c2)
		W = graph.Sub(f.forward(graph.Square(d)), Q)
		perMean, perVariance = graph.Reciprocal(graph.Add(P, Q)), graph.Reciprocal(graph.Add(V, W))
		luminance = graph.Mul(graph.Sub(P, Q), perMean)
		structure = graph.Mul(graph.Sub(V, W), perVariance)
		return sum(graph.Abs(d)), sum(graph.Mul(luminance, structure))
	}
	// The derivatives of luminance are 2Q/(P+Q)^2 by P and -2P/(P+Q)^2 by Q,
	// those of structure likewise with V' and W.
	backward := func(byAbsolute, bySSIM *graph.Node) (gradA, gradB *graph.Node) {
		var gradS, gradD *graph.Node
		if bySSIM != nil {
			mean := graph.Mul(graph.Mul(structure, perMean), perMean)
			variance := graph.Mul(graph.Mul(luminance, perVariance), perVariance)
			varianceW, varianceV := graph.Mul(variance, W), graph.Mul(variance, V)
			byS := graph.Sub(graph.Mul(mean, graph.Mul(Q, M)), graph.Mul(varianceW, graph.AddScalar(S, -2*gap)))
			byD := graph.Sub(graph.Mul(varianceV, D), graph.Mul(mean, graph.Mul(P, D)))
			four := graph.MulScalar(bySSIM, 4)
			gradS = graph.Mul(four, graph.Add(f.backward(byS, h, w), graph.Mul(s, f.backward(varianceW, h, w))))
			gradD = graph.Mul(four, graph.Sub(f.backward(byD, h, w), graph.Mul(d, f.backward(varianceV, h, w))))
		}
		if byAbsolute != nil {
			gradD = plus(gradD, graph.Mul(graph.Sign(d), byAbsolute))
		}
		if gradS == nil {
			return gradD, graph.Neg(gradD)
		}
		return graph.Add(gradS, gradD), graph.Sub(gradS, gradD)
	}
	return withGradient(a, b, forward, backward)
}

// sum adds all values: along rows, then along columns, because a float32 that
// adds hundreds of thousands of values one by one keeps few correct digits.
func sum(x *graph.Node) *graph.Node {
	return graph.ReduceAllSum(graph.ReduceSum(graph.ReduceSum(x, -1), -1))
}

// withGradient is forward, with gradients written down by backward instead of
// found by automatic differentiation, which would transpose and copy more. The
// gradient of an output that the result does not depend on is nil.
func withGradient(a, b *graph.Node, forward, backward func(a, b *graph.Node) (*graph.Node, *graph.Node)) (first, second *graph.Node) {
	// On the way back the gradients meet the outputs first: there they are
	// noted. At the inputs they are replaced; those computed in between are dead
	// code. A gradient at an output after one at an input is a new way back:
	// somebody differentiates the same graph once more.
	var incoming, outgoing [2]*graph.Node
	at := func(x *graph.Node, i int) *graph.Node {
		return graph.IdentityWithCustomGradient(x, func(_, _ *graph.Node) *graph.Node {
			if outgoing[0] == nil {
				outgoing[0], outgoing[1] = backward(incoming[0], incoming[1])
			}
			return outgoing[i]
		})
	}
	note := func(x *graph.Node, i int) *graph.Node {
		return graph.IdentityWithCustomGradient(x, func(_, v *graph.Node) *graph.Node {
			if outgoing[0] != nil {
				clear(incoming[:])
				clear(outgoing[:])
			}
			incoming[i] = v
			return v
		})
	}
	first, second = forward(at(a, 0), at(b, 1))
	return note(first, 0), note(second, 1)
}
