// Package native is the lowering for XLA: compiled convolutions and pooling,
// channels last, so that cuDNN can use tensor cores. A map is one node [n, H, W, C].
package native

import (
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn/lowering"
)

// Lowering is a [lowering.Interface] for one device. The zero value is for a GPU.
type Lowering struct {
	Processor bool // the device is a CPU: see gradientOfKernel

	mixed     bool // convolutions and the maps between them in bfloat16
	recompute bool // gradients found by GoMLX, which alone can compute anew what they need
}

// For is the lowering for the device that g is compiled for.
func For(g *graph.Graph) Lowering {
	return Lowering{Processor: !strings.Contains(strings.ToLower(g.Backend().Description()), "cuda")}
}

// Mixed computes convolutions in bfloat16, and keeps the maps between them so.
func (l Lowering) Mixed() lowering.Interface {
	l.mixed = true
	return l
}

// Recomputing makes Block take effect.
func (l Lowering) Recomputing() lowering.Interface {
	l.recompute = true
	return l
}

func (Lowering) Enter(x *graph.Node) lowering.Map {
	return single(graph.TransposeAllAxes(x, 0, 2, 3, 1))
}

func (l Lowering) Leave(m lowering.Map) *graph.Node {
	x := m.Parts[0]
	if l.mixed {
		x = graph.ConvertDType(x, dtypes.Float32)
	}
	return graph.TransposeAllAxes(x, 0, 3, 1, 2)
}

func (l Lowering) Block(f func(xs ...lowering.Map) lowering.Map, xs ...lowering.Map) lowering.Map {
	if !l.recompute {
		return f(xs...)
	}
	kept := make([]lowering.Map, len(xs))
	for i, x := range xs {
		kept[i] = single(x.Parts[0].Checkpoint())
	}
	return single(f(kept...).Parts[0].StopCheckpoint())
}

// half takes what goes into a convolution to bfloat16 in mixed precision. What
// leaves it is bfloat16, too: the sums inside are float32 on every device.
func (l Lowering) half(x *graph.Node) *graph.Node {
	if !l.mixed {
		return x
	}
	return graph.ConvertDType(x, dtypes.BFloat16)
}

// full takes a map to the precision of like, where values are added up.
func full(x, like *graph.Node) *graph.Node { return graph.ConvertDType(x, like.DType()) }

// single is the map of one node.
func single(x *graph.Node) lowering.Map {
	d := x.Shape().Dimensions
	return lowering.Map{Parts: []*graph.Node{x}, N: d[0], H: d[1], W: d[2], C: d[3]}
}

func (Lowering) Pointwise(f func(nodes ...*graph.Node) *graph.Node, xs ...lowering.Map) lowering.Map {
	nodes := make([]*graph.Node, len(xs))
	for i, x := range xs {
		nodes[i] = x.Parts[0]
	}
	return single(f(nodes...))
}

func (Lowering) Channels(x lowering.Map, from, to int) lowering.Map {
	return single(graph.Slice(x.Parts[0], graph.AxisRange(), graph.AxisRange(), graph.AxisRange(), graph.AxisRange(from, to)))
}

func (Lowering) RepeatChannel(x lowering.Map, c int) lowering.Map {
	return single(graph.BroadcastToDims(x.Parts[0], x.N, x.H, x.W, c))
}

func (Lowering) RepeatPixel(x lowering.Map, h, w int) lowering.Map {
	return single(graph.BroadcastToDims(x.Parts[0], x.N, h, w, x.C))
}
