package nn

import "github.com/gomlx/gomlx/core/graph"

// What the networks with attention need. Gradients are found by GoMLX.

// dilated lays out the taps, each a part of the framed map, and multiplies.
func (l products) dilated(xs []Map, w, bias *graph.Node, rectify bool, distance int) Map {
	h, wd := xs[0].H, xs[0].W
	var taps []Map
	for _, x := range xs {
		framed := l.pad(x, distance, distance, distance, distance)
		for q := range 9 {
			taps = append(taps, l.window(framed, q/3*distance, q%3*distance, h, wd))
		}
	}
	all := taps[0].with(nil, 0)
	for i := range taps[0].parts {
		var list []*graph.Node
		for _, t := range taps {
			list = append(list, t.parts[i])
		}
		all.parts = append(all.parts, graph.Concatenate(list, 1))
	}
	var weights []*graph.Node // of each input, tap by tap
	from, out := 0, w.Shape().Dim(0)
	for _, x := range xs {
		own := graph.Slice(w, graph.AxisRange(), graph.AxisRange(from, from+x.C))
		weights = append(weights, graph.Reshape(graph.TransposeAllAxes(own, 0, 2, 3, 1), out, 9*x.C))
		from += x.C
	}
	all.C = 9 * from
	m := weights[0]
	if len(weights) > 1 {
		m = graph.Concatenate(weights, 1)
	}
	y := l.conv1x1(all, graph.Reshape(m, out, 9*from, 1, 1), bias)
	if rectify {
		y = l.zip(func(n ...*graph.Node) *graph.Node { return relu(n[0]) }, y)
	}
	return y
}

func (l products) depthwise3x3(x Map, w, bias *graph.Node) Map {
	framed := l.pad(x, 1, 1, 1, 1)
	var taps []Map
	for q := range 9 {
		shift := graph.ZerosLike(bias)
		if q == 0 {
			shift = bias
		}
		taps = append(taps, l.affine(l.window(framed, q/3, q%3, x.H, x.W), tapOfEach(w, q/3, q%3), shift, false))
	}
	return l.zip(func(n ...*graph.Node) *graph.Node { return sum(n) }, taps...)
}

func (l products) layerNorm(x Map, gamma, beta *graph.Node) Map {
	share := graph.MulScalar(ones(gamma, 1, x.C, 1, 1), 1/float64(x.C))
	mean := func(x Map) Map { return l.conv1x1(x, share, nil) }
	centred := l.zip(func(n ...*graph.Node) *graph.Node { return graph.Sub(n[0], n[1]) }, x, l.spread(mean(x), x.C))
	squares := l.zip(func(n ...*graph.Node) *graph.Node { return graph.Square(n[0]) }, centred)
	inverse := l.zip(func(n ...*graph.Node) *graph.Node {
		return graph.Reciprocal(graph.Sqrt(graph.AddScalar(n[0], layerNormEpsilon)))
	}, mean(squares))
	normal := l.zip(func(n ...*graph.Node) *graph.Node { return graph.Mul(n[0], n[1]) }, centred, l.spread(inverse, x.C))
	return l.affine(normal, gamma, beta, false)
}

func (products) window(x Map, top, left, h, w int) Map {
	x = apart(x)
	var parts []*graph.Node
	for _, s := range x.parts {
		n := s.Shape().Dim(0)
		cut := graph.Slice(graph.Reshape(s, n, x.C, x.H, x.W), graph.AxisRange(), graph.AxisRange(), graph.AxisRange(top, top+h), graph.AxisRange(left, left+w))
		parts = append(parts, graph.Reshape(cut, n, x.C, h*w))
	}
	x.H, x.W = h, w
	return x.with(parts, x.C)
}

func (products) channels(x Map, from, to int) Map {
	var parts []*graph.Node
	for _, s := range x.parts {
		parts = append(parts, graph.Slice(s, graph.AxisRange(), graph.AxisRange(from, to)))
	}
	return x.with(parts, to-from)
}

func (products) mean(x Map) Map {
	x = apart(x)
	var parts []*graph.Node
	for _, s := range x.parts {
		share := graph.MulScalar(ones(s, s.Shape().Dim(2), 1), 1/float64(x.H*x.W))
		n := s.Shape().Dim(0)
		parts = append(parts, graph.Reshape(plain(graph.Reshape(s, n*x.C, x.H*x.W), share), n, x.C, 1))
	}
	x.H, x.W = 1, 1
	return x.with(parts, x.C)
}

func (products) fill(x Map, h, w int) Map {
	x = apart(x)
	var parts []*graph.Node
	for _, s := range x.parts {
		n := s.Shape().Dim(0)
		parts = append(parts, graph.Reshape(plain(graph.Reshape(s, n*x.C, 1), ones(s, 1, h*w)), n, x.C, h*w))
	}
	x.H, x.W = h, w
	return x.with(parts, x.C)
}
