package loss

import (
	"math"

	"github.com/gomlx/gomlx/core/graph"
)

// bestPSNR is what equal images get, dB, so that a mean stays finite.
const bestPSNR = 100

// PSNR is the mean over images [n, c, h, w] in [-1, 1] of the peak
// signal-to-noise ratio in dB, a scalar: -10 log10 of the mean squared error of
// values in [0, 1]. pred is clamped to the range first, as it is when it is saved;
// the rounding to 8 bits of saved pictures is left out. mask is [n], 1 for images
// that count and 0 for others, or nil where all do. At most 100 dB.
func PSNR(pred, target, mask *graph.Node) *graph.Node {
	d := graph.MulScalar(graph.Sub(graph.ClipScalar(pred, -1, 1), target), 0.5)
	mse := graph.ReduceMean(graph.Mul(d, d), 1, 2, 3)
	each := graph.MulScalar(graph.Log(graph.MaxScalar(mse, math.Pow(10, -bestPSNR/10))), -10/math.Ln10)
	if mask == nil {
		return graph.ReduceAllMean(each)
	}
	return graph.Div(graph.ReduceAllSum(graph.Mul(each, mask)), graph.ReduceAllSum(mask))
}
