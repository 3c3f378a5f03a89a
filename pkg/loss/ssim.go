package loss

import (
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn/lowering"
)

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
	forward := func(in []*graph.Node) []*graph.Node {
		s, d = graph.Add(in[0], in[1]), graph.Sub(in[0], in[1])
		S, D = f.forward(s), f.forward(d)
		M = graph.AddScalar(S, 2*weight)
		P, Q = graph.AddScalar(graph.Square(M), 8*f.c1), graph.Square(D)
		V = graph.Sub(f.forward(graph.Square(s)), graph.Mul(S, graph.AddScalar(S, -4*gap)))
		V = graph.AddScalar(V, 4*weight*gap+8*f.c2)
		W = graph.Sub(f.forward(graph.Square(d)), Q)
		perMean, perVariance = graph.Reciprocal(graph.Add(P, Q)), graph.Reciprocal(graph.Add(V, W))
		luminance = graph.Mul(graph.Sub(P, Q), perMean)
		structure = graph.Mul(graph.Sub(V, W), perVariance)
		return []*graph.Node{sum(graph.Abs(d)), sum(graph.Mul(luminance, structure))}
	}
	// The derivatives of luminance are 2Q/(P+Q)^2 by P and -2P/(P+Q)^2 by Q,
	// those of structure likewise with V' and W.
	backward := func(_, _, dout []*graph.Node) []*graph.Node {
		byAbsolute, bySSIM := dout[0], dout[1]
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
			return []*graph.Node{gradD, graph.Neg(gradD)}
		}
		return []*graph.Node{graph.Add(gradS, gradD), graph.Sub(gradS, gradD)}
	}
	// Automatic gradients would transpose and copy more.
	out := lowering.WithPartialGradient([]*graph.Node{a, b}, forward, backward)
	return out[0], out[1]
}

// sum adds all values: along rows, then along columns, because a float32 that
// adds hundreds of thousands of values one by one keeps few correct digits.
func sum(x *graph.Node) *graph.Node {
	return graph.ReduceAllSum(graph.ReduceSum(graph.ReduceSum(x, -1), -1))
}
