package native

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors/images"

	"rekindle/pkg/nn/lowering"
)

// gradientOfKernel is a convolution, too: of one map with the other as kernel,
// channels and images exchanged, [3, 3, in, out]. XLA on the processor lays out
// nine shifted copies of the former, so that is the one with fewer channels;
// automatic differentiation always takes x.
func gradientOfKernel(x, dy *graph.Node) *graph.Node {
	d := dy.Shape().Dimensions
	if productIsQuicker(min(x.Shape().Dim(3), d[3]), d[0]*d[1]*d[2]) {
		return gradientByProduct(x, dy)
	}
	return gradientByConvolution(x, dy)
}

func gradientByConvolution(x, dy *graph.Node) *graph.Node {
	shifted, kernel := x, dy
	exchanged := dy.Shape().Dim(3) <= x.Shape().Dim(3)
	if exchanged {
		shifted, kernel = dy, x
	}
	y := graph.Convolve(graph.TransposeAllAxes(shifted, 3, 1, 2, 0), graph.TransposeAllAxes(kernel, 1, 2, 0, 3)).
		ChannelsAxis(images.ChannelsLast).PaddingPerDim([][2]int{{1, 1}, {1, 1}}).Done()
	if exchanged {
		return graph.TransposeAllAxes(graph.Reverse(y, 1, 2), 1, 2, 3, 0)
	}
	return graph.TransposeAllAxes(y, 1, 2, 0, 3)
}

// productIsQuicker tells for how many channels, of the map with fewer, and pixels
// gradientByProduct is quicker than that convolution on two cores: 1.2 to 2 times
// from 96 channels on, and 1.1 to 1.9 times for 16, 40 and 48, which the convolution
// is slow with. For 32 and 64 the two are equal, or the convolution is ahead; for 3,
// and for few pixels, the copies cost more than they save.
func productIsQuicker(channels, pixels int) bool {
	return pixels >= 1024 && (channels >= 96 || channels >= 16 && channels%32 != 0)
}

// gradientByProduct is gradientOfKernel as one product over all pixels: of the
// three maps that x gives shifted by columns with the three that dy gives shifted
// by rows.
func gradientByProduct(x, dy *graph.Node) *graph.Node {
	in, out := x.Shape().Dim(3), dy.Shape().Dim(3)
	pixels := x.Shape().Size() / in
	rows := graph.Reshape(graph.Concatenate([]*graph.Node{moved(dy, 1, -1), dy, moved(dy, 1, 1)}, 3), pixels, 3*out)
	columns := graph.Reshape(graph.Concatenate([]*graph.Node{moved(x, 2, 1), x, moved(x, 2, -1)}, 3), pixels, 3*in)
	y := graph.DotGeneral(columns, []int{0}, nil, rows, []int{0}, nil)
	return graph.TransposeAllAxes(graph.Reshape(y, 3, in, 3, out), 2, 0, 1, 3)
}

// moved shifts a map by one place along an axis; zeros come in.
func moved(x *graph.Node, axis, by int) *graph.Node {
	d := append([]int{}, x.Shape().Dimensions...)
	n := d[axis]
	d[axis] = 1
	if n == 1 {
		return lowering.Zeros(x, d...)
	}
	list := []*graph.Node{lowering.Zeros(x, d...), graph.SliceAxis(x, axis, graph.AxisRange(0, n-1))}
	if by < 0 {
		list = []*graph.Node{graph.SliceAxis(x, axis, graph.AxisRange(1, n)), lowering.Zeros(x, d...)}
	}
	return graph.Concatenate(list, axis)
}
