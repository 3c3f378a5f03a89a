package nn

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors/images"
)

// native is the lowering for XLA: compiled convolutions and pooling, channels
// last, so that cuDNN can use tensor cores. A map is one part [n, H, W, C].
type native struct {
	mixed     bool // convolutions and the maps between them in bfloat16
	recompute bool // gradients found by GoMLX, which alone can compute anew what they need
	processor bool // a CPU: see gradientOfKernel
}

// half takes what goes into a convolution to bfloat16 in mixed precision. What
// leaves it is bfloat16, too: the sums inside are float32 on every device.
func (l native) half(x *graph.Node) *graph.Node {
	if !l.mixed {
		return x
	}
	return graph.ConvertDType(x, dtypes.BFloat16)
}

// full takes a map to the precision of like, where values are added up.
func full(x, like *graph.Node) *graph.Node { return graph.ConvertDType(x, like.DType()) }

func (m Map) alone(x *graph.Node) Map {
	d := x.Shape().Dimensions
	return Map{parts: []*graph.Node{x}, n: d[0], H: d[1], W: d[2], C: d[3]}
}

func (native) enter(x *graph.Node) Map { return Map{}.alone(graph.TransposeAllAxes(x, 0, 2, 3, 1)) }

func (l native) leave(m Map) *graph.Node {
	x := m.parts[0]
	if l.mixed {
		x = graph.ConvertDType(x, dtypes.Float32)
	}
	return graph.TransposeAllAxes(x, 0, 3, 1, 2)
}

func nativeJoin(xs []Map) *graph.Node {
	if len(xs) == 1 {
		return xs[0].parts[0]
	}
	list := make([]*graph.Node, len(xs))
	for i, x := range xs {
		list[i] = x.parts[0]
	}
	return graph.Concatenate(list, 3)
}

func (l native) conv3x3(xs []Map, w, bias *graph.Node, rectify bool, distance int) Map {
	for i, x := range xs {
		xs[i] = x.alone(l.half(x.parts[0]))
	}
	kernel := graph.TransposeAllAxes(l.half(w), 2, 3, 1, 0)
	y := l.biased(l.convolve(nativeJoin(xs), kernel, distance), bias)
	if rectify {
		y = relu(y)
	}
	return Map{}.alone(y)
}

// convolve takes x [n, H, W, in] and a kernel [3, 3, in, out].
func (l native) convolve(x, kernel *graph.Node, distance int) *graph.Node {
	plain := func(x, kernel *graph.Node) *graph.Node {
		return graph.Convolve(x, kernel).ChannelsAxis(images.ChannelsLast).Dilations(distance).PaddingPerDim([][2]int{{distance, distance}, {distance, distance}}).Done()
	}
	if !l.processor || l.recompute || distance > 1 {
		return plain(x, kernel)
	}
	return custom([]*graph.Node{x, kernel}, func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{plain(in[0], in[1])}
	}, func(in, _, dout []*graph.Node) []*graph.Node {
		mirrored := graph.TransposeAllAxes(graph.Reverse(in[1], 0, 1), 0, 1, 3, 2)
		return []*graph.Node{plain(dout[0], mirrored), gradientOfKernel(in[0], dout[0])}
	})[0]
}

// gradientOfKernel is a convolution, too: of one map with the other as kernel,
// channels and images exchanged, [3, 3, in, out]. XLA on the processor lays out
// nine shifted copies of the former, so that is the one with fewer channels;
// automatic differentiation always takes x.
func gradientOfKernel(x, dy *graph.Node) *graph.Node {
	d := dy.Shape().Dimensions
	if in := x.Shape().Dim(3); min(in, d[3]) >= manyChannels && d[0]*d[1]*d[2] >= manyPixels {
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

// From so many channels and pixels on one product is quicker than that convolution,
// 1.2 to 2 times on two cores; below, the copies cost more than they save.
const (
	manyChannels = 96
	manyPixels   = 1024
)

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
		return zeros(x, d...)
	}
	list := []*graph.Node{zeros(x, d...), graph.SliceAxis(x, axis, graph.AxisRange(0, n-1))}
	if by < 0 {
		list = []*graph.Node{graph.SliceAxis(x, axis, graph.AxisRange(1, n)), zeros(x, d...)}
	}
	return graph.Concatenate(list, axis)
}

func perChannel(v, like *graph.Node) *graph.Node {
	return graph.BroadcastToShape(graph.Reshape(v, 1, 1, 1, v.Shape().Size()), like.Shape())
}

// biased adds a bias, if there is one, to each channel in the bias's own precision:
// its gradient is a sum over all pixels, of which bfloat16 would keep two digits.
func (l native) biased(y, bias *graph.Node) *graph.Node {
	if bias == nil {
		return y
	}
	y = full(y, bias)
	return l.half(graph.Add(y, perChannel(bias, y)))
}

func (l native) conv1x1(x Map, w, bias *graph.Node) Map {
	m := graph.Reshape(l.half(w), w.Shape().Dim(0), w.Shape().Dim(1))
	return x.alone(l.biased(graph.DotGeneral(l.half(x.parts[0]), []int{3}, nil, m, []int{1}, nil), bias))
}

func (l native) affine(x Map, scale, shift *graph.Node, rectify bool) Map {
	s := full(x.parts[0], scale)
	y := graph.Add(graph.Mul(s, perChannel(scale, s)), perChannel(shift, s))
	if rectify {
		y = relu(y)
	}
	return x.alone(l.half(y))
}

func (l native) normalize(x Map, shares, gamma, beta *graph.Node, rectify bool) (Map, *graph.Node, *graph.Node) {
	s := full(x.parts[0], gamma)
	var mean, variance, inverse, scale *graph.Node
	centred := func(s *graph.Node) *graph.Node { return graph.Sub(s, perChannel(mean, s)) }
	forward := func(in []*graph.Node) []*graph.Node {
		s := in[0]
		mean = nativeMean(s, shares)
		variance = nativeMean(graph.Square(centred(s)), shares)
		inverse = graph.Reciprocal(graph.Sqrt(graph.AddScalar(variance, normEpsilon)))
		scale = graph.Mul(in[1], inverse)
		return []*graph.Node{l.affine(x.alone(centred(s)), scale, in[2], rectify).parts[0]}
	}
	in := []*graph.Node{s, gamma, beta}
	if l.recompute {
		return x.alone(forward(in)[0]), mean, variance
	}
	// dx = scale * (dy - mean(dy) - normalised * mean(dy * normalised)), where the
	// means, but not dy, count each image by its share. Written down by hand it
	// goes three times through the maps, not six.
	backward := func(in, out, dout []*graph.Node) []*graph.Node {
		s, dy := in[0], full(dout[0], gamma)
		if rectify {
			dy = graph.Where(graph.GreaterThan(out[0], graph.ZerosLike(out[0])), dy, graph.ZerosLike(dy))
		}
		dbeta := graph.ReduceSum(dy, 0, 1, 2)
		dgamma := graph.Mul(graph.ReduceSum(graph.Mul(dy, centred(s)), 0, 1, 2), inverse)
		count := float64(x.n * x.H * x.W)
		fromAll := graph.MulScalar(graph.Mul(scale, dbeta), -1/count)
		fromCentred := graph.MulScalar(graph.Mul(graph.Mul(scale, inverse), dgamma), -1/count)
		byStatistics := graph.Add(graph.Mul(centred(s), perChannel(fromCentred, s)), perChannel(fromAll, s))
		return []*graph.Node{graph.Add(graph.Mul(dy, perChannel(scale, dy)), counted(byStatistics, shares)), dgamma, dbeta}
	}
	return x.alone(custom(in, forward, backward)[0]), mean, variance
}

// nativeMean is the mean of each channel, [C].
func nativeMean(x, shares *graph.Node) *graph.Node {
	return graph.ReduceMean(counted(x, shares), 0, 1, 2)
}

// counted weighs images by their shares; nil leaves all alike.
func counted(x, shares *graph.Node) *graph.Node {
	if shares == nil {
		return x
	}
	return graph.Mul(x, graph.BroadcastToShape(graph.Reshape(shares, x.Shape().Dim(0), 1, 1, 1), x.Shape()))
}

// maxPool compares the four places of a window. XLA's own gradient of pooling
// looks for the largest value once more and, on a processor, scatters.
func (l native) maxPool(x Map) Map {
	if l.recompute {
		return x.alone(graph.MaxPool(x.parts[0]).ChannelsAxis(images.ChannelsLast).Window(2).Strides(2).NoPadding().Done())
	}
	h, w := x.H/2, x.W/2
	s := x.parts[0]
	if s.Shape().Dim(1) != 2*h || s.Shape().Dim(2) != 2*w {
		s = graph.Slice(s, graph.AxisRange(), graph.AxisRange(0, 2*h), graph.AxisRange(0, 2*w), graph.AxisRange())
	}
	place := func(s *graph.Node, i int) *graph.Node {
		return graph.Slice(s, graph.AxisRange(), graph.AxisRange(i/2, 2*h).Stride(2), graph.AxisRange(i%2, 2*w).Stride(2), graph.AxisRange())
	}
	forward := func(in []*graph.Node) []*graph.Node {
		largest := place(in[0], 0)
		for i := 1; i < 4; i++ {
			largest = graph.Max(largest, place(in[0], i))
		}
		return []*graph.Node{largest}
	}
	backward := func(in, out, dout []*graph.Node) []*graph.Node {
		// The first of equal ones, in row-major order, gets the gradient.
		one := graph.OnesLike(out[0])
		first := graph.MulScalar(one, 3)
		for i := 2; i >= 0; i-- {
			first = graph.Where(graph.Equal(place(in[0], i), out[0]), graph.MulScalar(one, float64(i)), first)
		}
		windows := []int{x.n, h, 2, w, 2, x.C}
		spread := func(v *graph.Node) *graph.Node {
			return graph.BroadcastToDims(graph.Reshape(v, x.n, h, 1, w, 1, x.C), windows...)
		}
		places := graph.ConvertDType(graph.Const(s.Graph(), []float32{0, 1, 2, 3}), s.DType())
		places = graph.BroadcastToDims(graph.Reshape(places, 1, 1, 2, 1, 2, 1), windows...)
		dx := graph.Where(graph.Equal(places, spread(first)), spread(dout[0]), graph.Zeros(s.Graph(), places.Shape()))
		return []*graph.Node{graph.Reshape(dx, x.n, 2*h, 2*w, x.C)}
	}
	return x.alone(custom([]*graph.Node{s}, forward, backward)[0])
}

func (native) unshuffle(x Map) Map {
	h, w := x.H/2, x.W/2
	y := graph.TransposeAllAxes(graph.Reshape(x.parts[0], x.n, h, 2, w, 2, x.C), 0, 1, 3, 5, 2, 4)
	return x.alone(graph.Reshape(y, x.n, h, w, 4*x.C))
}

func (native) shuffle(x Map) Map {
	c := x.C / 4
	y := graph.TransposeAllAxes(graph.Reshape(x.parts[0], x.n, x.H, x.W, c, 2, 2), 0, 1, 4, 2, 5, 3)
	return x.alone(graph.Reshape(y, x.n, 2*x.H, 2*x.W, c))
}

func (native) resize(x Map, rows, columns matrix) Map {
	m := func(v matrix) *graph.Node { return full(constant(x.parts[0], v), x.parts[0]) }
	y := graph.Einsum("oh,nhwc->nowc", m(rows), x.parts[0])
	return x.alone(graph.Einsum("pw,nowc->nopc", m(columns), y))
}

// double interpolates with align_corners=False, where each new row and column is
// three quarters of the nearest old one and a quarter of the next: no matrices, whose
// cost grows with the size.
func (native) double(x Map) Map {
	y := x.parts[0]
	for _, axis := range []int{1, 2} {
		n := y.Shape().Dimensions[axis]
		last, behind := graph.SliceAxis(y, axis, graph.AxisRange(n-1, n)), y
		first, before := graph.SliceAxis(y, axis, graph.AxisRange(0, 1)), y
		if n > 1 {
			behind = graph.Concatenate([]*graph.Node{graph.SliceAxis(y, axis, graph.AxisRange(1, n)), last}, axis)
			before = graph.Concatenate([]*graph.Node{first, graph.SliceAxis(y, axis, graph.AxisRange(0, n-1))}, axis)
		}
		near := graph.MulScalar(y, 0.75)
		even, odd := graph.Add(near, graph.MulScalar(before, 0.25)), graph.Add(near, graph.MulScalar(behind, 0.25))
		dims := append([]int{}, y.Shape().Dimensions...)
		dims[axis] *= 2
		y = graph.Reshape(graph.Stack([]*graph.Node{even, odd}, axis+1), dims...)
	}
	return x.alone(y)
}

func (native) pad(x Map, left, right, top, bottom int) Map {
	s := x.parts[0]
	add := func(axis, n int, before bool) {
		if n == 0 {
			return
		}
		d := append([]int{}, s.Shape().Dimensions...)
		d[axis] = n
		list := []*graph.Node{s, zeros(s, d...)}
		if before {
			list[0], list[1] = list[1], list[0]
		}
		s = graph.Concatenate(list, axis)
	}
	add(1, top, true)
	add(1, bottom, false)
	add(2, left, true)
	add(2, right, false)
	return x.alone(s)
}

func (l native) transpose2x2(x Map, w, bias *graph.Node) Map {
	y := graph.Einsum("nhwi,iokl->nhkwlo", l.half(x.parts[0]), l.half(w))
	y = graph.Reshape(y, x.n, 2*x.H, 2*x.W, w.Shape().Dim(1))
	return x.alone(l.biased(y, bias))
}

// transpose4x4 is a sum of four shifted products, see products.transpose4x4:
// GoMLX has no gradient for the dilated convolution that would do it at once.
func (l native) transpose4x4(x Map, w, bias *graph.Node) Map {
	framed, w := l.pad(x.alone(l.half(x.parts[0])), 1, 1, 1, 1).parts[0], l.half(w)
	var rows []*graph.Node
	for a := range 2 {
		var pair []*graph.Node
		for b := range 2 {
			var list []*graph.Node
			for i := range 2 {
				for j := range 2 {
					window := graph.Slice(framed, graph.AxisRange(), graph.AxisRange(a+i, a+i+x.H), graph.AxisRange(b+j, b+j+x.W), graph.AxisRange())
					list = append(list, graph.DotGeneral(window, []int{3}, nil, tapOf(w, 3-a-2*i, 3-b-2*j), []int{1}, nil))
				}
			}
			pair = append(pair, sum(list))
		}
		rows = append(rows, graph.Stack(pair, 3)) // [n, h, w, 2, out]
	}
	y := graph.Reshape(graph.Stack(rows, 2), x.n, 2*x.H, 2*x.W, w.Shape().Dim(1))
	return x.alone(l.biased(y, bias))
}

func (native) zip(f func(nodes ...*graph.Node) *graph.Node, xs ...Map) Map {
	nodes := make([]*graph.Node, len(xs))
	for i, x := range xs {
		nodes[i] = x.parts[0]
	}
	return xs[0].alone(f(nodes...))
}

func (native) spread(x Map, c int) Map {
	return x.alone(graph.BroadcastToDims(x.parts[0], x.n, x.H, x.W, c))
}
