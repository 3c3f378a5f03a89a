// Package loss is what training makes small: a mix of the mean absolute error
// and the structural similarity of Wang et al., "Image Quality Assessment: From
// Error Visibility to Structural Similarity" (IEEE TIP 2004), and if asked for
// what a network that knows photographs sees in two pictures.
//
// Use it where a network is trained or validated; package metrics scores
// finished pictures.
//
//	total, l1, ssim := loss.Combined{Alpha: 0.84, Beta: 0.16}.Graph(restored, clean)
//
// The weights 0.84 and 0.16 are those of Zhao et al., "Loss Functions for Image
// Restoration with Neural Networks" (IEEE TCI 2017), for MS-SSIM and L1.
package loss

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/loss/vgg"
)

// Combined is Alpha * L1 + Beta * (1 - SSIM) + Gamma * perceptual. The last is
// left out where Gamma is 0; otherwise it needs the weights of VGG16.
type Combined struct {
	Alpha, Beta, Gamma float64
	Charbonnier        float64 // if not 0, sqrt(d² + Charbonnier²) - Charbonnier is made small instead of L1's |d|; the L1 that is reported stays L1
	VGG                *vgg.Weights
}

// Graph writes the loss down for images [n, c, h, w] in [-1, 1]. All three
// results are scalars, means over the batch: L1 on the values as they are, SSIM
// on (x+1)/2 with a data range of 1 and without padding, from -1 to 1. A side
// shorter than the window of 11 pixels is not smoothed. This is the loss of
// pytorch_msssim, to rounding. The perceptual part is in total alone.
//
// Gradients flow to both images; the slope of |x| at 0 is 0, as in PyTorch.
// float32 and float64 are computed as they are, half precision in float32: a
// variance is the small difference of two means, of which 16 bits leave nothing.
// Images of different shapes make it panic, as graph building does.
func (c Combined) Graph(pred, target *graph.Node) (total, l1, ssim *graph.Node) {
	return c.graph(pred, target, standard(blurFor(pred.Graph().Backend().Name())))
}

// Padded is Graph for a batch that is filled up: mask is [n], 1 for the images
// that are there, at least one, and 0 for those that do not count, whatever finite
// values they hold.
func (c Combined) Padded(pred, target, mask *graph.Node) (total, l1, ssim *graph.Node) {
	// Two images of zeros have no loss and no gradient: what is left is the loss
	// of the others, as a mean over too many.
	n := mask.Shape().Size()
	show := graph.BroadcastToShape(graph.Reshape(mask, n, 1, 1, 1), pred.Shape())
	total, l1, ssim = c.Graph(graph.Mul(pred, show), graph.Mul(target, show))
	tooMany := graph.Div(graph.Scalar(mask.Graph(), mask.DType(), n), graph.ReduceAllSum(mask))
	scaled := func(x *graph.Node) *graph.Node { return graph.Mul(x, tooMany) }
	return scaled(total), scaled(l1), graph.OneMinus(scaled(graph.OneMinus(ssim)))
}

func (c Combined) graph(pred, target *graph.Node, formula similarity) (total, l1, ssim *graph.Node) {
	pred.AssertDims(target.Shape().Dimensions...)
	wide := pred.DType()
	if wide.IsHalfPrecision() {
		wide = dtypes.Float32
	}
	dims := pred.Shape().Dimensions
	planes, h, w := dims[0]*dims[1], dims[2], dims[3]
	a := split(graph.Reshape(graph.ConvertDType(pred, wide), planes, h, w))
	b := split(graph.Reshape(graph.ConvertDType(target, wide), planes, h, w))

	var sumL1, sumSSIM *graph.Node
	for i := range a {
		absolute, similar := formula.sums(a[i], b[i])
		sumL1, sumSSIM = plus(sumL1, absolute), plus(sumSSIM, similar)
	}
	l1 = graph.MulScalar(sumL1, 1/float64(planes*h*w))
	ssim = graph.MulScalar(sumSSIM, 1/float64(planes*blurred(h)*blurred(w)))
	total = graph.MulScalar(l1, c.Alpha)
	if c.Charbonnier != 0 {
		total = graph.MulScalar(charbonnier(a, b, c.Charbonnier), c.Alpha/float64(planes*h*w))
	}
	if c.Beta != 0 { // otherwise it is measured, and its gradient is not needed
		total = graph.Add(total, graph.MulScalar(graph.OneMinus(ssim), c.Beta))
	}
	if c.Gamma != 0 {
		seen := perceptual(c.VGG, graph.ConvertDType(pred, wide), graph.ConvertDType(target, wide))
		total = graph.Add(total, graph.MulScalar(seen, c.Gamma))
	}
	return total, l1, ssim
}

// charbonnier is the sum of sqrt(d² + epsilon²) - epsilon over the differences of
// pieces of planes (Charbonnier et al., ICIP 1994; for restoration Lai et al., "Deep
// Laplacian Pyramid Networks", CVPR 2017). It is 0 for equal images, so that a batch
// that is filled up needs no correction.
func charbonnier(a, b []*graph.Node, epsilon float64) *graph.Node {
	var total *graph.Node
	for i := range a {
		d := graph.Sub(a[i], b[i])
		total = plus(total, sum(graph.AddScalar(graph.Sqrt(graph.AddScalar(graph.Square(d), epsilon*epsilon)), -epsilon)))
	}
	return total
}

// parts is how many pieces the planes of a batch are cut into. The Go engine
// computes an element-wise operation on one core, but several at the same time;
// on four cores 4 is quickest and 8 already slower.
const parts = 4

// split cuts planes [m, h, w] into at most parts pieces, for the Go engine.
func split(x *graph.Node) []*graph.Node {
	m := x.Shape().Dim(0)
	k := min(parts, m)
	if k == 1 || x.Graph().Backend().Name() == "xla" {
		return []*graph.Node{x}
	}
	var pieces []*graph.Node
	for i := range k {
		pieces = append(pieces, graph.Slice(x, graph.AxisRange(i*m/k, (i+1)*m/k)))
	}
	return pieces
}

// plus adds x to a sum that may be empty.
func plus(sum, x *graph.Node) *graph.Node {
	if sum == nil {
		return x
	}
	return graph.Add(sum, x)
}
