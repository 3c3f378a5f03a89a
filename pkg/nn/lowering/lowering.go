// Package lowering says what an engine must compute for the layers of package nn,
// and holds the few graph functions that all engines compute alike.
//
// A layer is written once, on top of [Interface]; how an operation becomes nodes of
// a graph, and how feature maps lie in memory, belongs to the engine: package native
// for XLA, package im2col for GoMLX's Go engine.
package lowering

import "github.com/gomlx/gomlx/core/graph"

// Map is a batch of feature maps in the layout of an engine.
type Map struct {
	Parts   []*graph.Node // one node, or shards of the batch
	N       int           // images
	C, H, W int           // channels, height, width
}

// Interface is how one engine computes the operations of layers. Weights have
// PyTorch's layout. A bias may be nil, unless said otherwise.
type Interface interface {
	// Mixed computes convolutions in bfloat16 and Recomputing makes Block take
	// effect, each where the engine gains by it.
	Mixed() Interface
	Recomputing() Interface

	// Enter takes images [n, c, h, w] into the engine's layout, Leave brings them back.
	Enter(x *graph.Node) Map
	Leave(m Map) *graph.Node
	// Block writes down f; of what it computes only in- and output are kept for
	// the way back, if the lowering recomputes.
	Block(f func(xs ...Map) Map, xs ...Map) Map

	// Conv3x3 joins its inputs along the channels. Dilation is the distance of the
	// kernel's positions, and the padding.
	Conv3x3(xs []Map, w, bias *graph.Node, relu bool, dilation int) Map
	// Depthwise3x3 convolves each channel by itself: w is [C, 1, 3, 3], the bias,
	// which must be there, [C].
	Depthwise3x3(x Map, w, bias *graph.Node) Map
	Conv1x1(x Map, w, bias *graph.Node) Map
	// Transposed2x2 is a transposed convolution with kernel 2 and stride 2,
	// Transposed4x4 one with kernel 4, stride 2 and padding 1.
	Transposed2x2(x Map, w, bias *graph.Node) Map
	Transposed4x4(x Map, w, bias *graph.Node) Map

	// BatchNorm normalises by the batch's own statistics, which it returns, [C].
	// shares is [n], the weight of each image in them, 1 on average; nil: all alike.
	BatchNorm(x Map, shares, gamma, beta *graph.Node, epsilon float64, relu bool) (y Map, mean, variance *graph.Node)
	// LayerNorm normalises the channels of each pixel.
	LayerNorm(x Map, gamma, beta *graph.Node, epsilon float64) Map
	// Affine is scale and shift per channel.
	Affine(x Map, scale, shift *graph.Node, relu bool) Map

	// MaxPool takes the largest of blocks of 2x2; Mean that of each channel of each
	// image, a map of 1x1.
	MaxPool(x Map) Map
	Mean(x Map) Map
	// PixelUnshuffle and PixelShuffle are PyTorch's, by 2.
	PixelUnshuffle(x Map) Map
	PixelShuffle(x Map) Map
	// Resize multiplies rows by [oh, h] and columns by [ow, w].
	Resize(x Map, rows, columns Matrix) Map
	// Double is Resize by [HalfPixels] to twice the height and width.
	Double(x Map) Map
	// Pad adds zeros around each map, Crop takes a part of each.
	Pad(x Map, left, right, top, bottom int) Map
	Crop(x Map, top, left, h, w int) Map

	// Pointwise applies an element-wise function to maps of one shape.
	Pointwise(f func(nodes ...*graph.Node) *graph.Node, xs ...Map) Map
	// Channels are some of them.
	Channels(x Map, from, to int) Map
	// RepeatChannel repeats a map of one channel c times, RepeatPixel a map of 1x1
	// over h by w.
	RepeatChannel(x Map, c int) Map
	RepeatPixel(x Map, h, w int) Map
}
