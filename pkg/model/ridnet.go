package model

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn"
)

// ridNet is RIDNet (Anwar & Barnes, "Real Image Denoising with Feature Attention",
// ICCV 2019): four enhancement attention modules at full size, each of dilated
// convolutions, two residual blocks and attention to channels. It finds what is to
// be added to the picture, whose values go from 0 to 255. Published are 64 features.
// Tensors are called as in the authors' code.
//
// Its attention takes means over the whole picture; of a tile, over that.
type ridNet struct {
	shape      Options
	head, tail nn.Conv3x3
	modules    []attentionModule
}

// RIDNetMeans are the means of the colours that RIDNet subtracts at first and adds to
// what it found, in grey levels.
var RIDNetMeans = []float64{255 * 0.4488, 255 * 0.4371, 255 * 0.4040}

func newRIDNet(o Options) architecture {
	o.Bilinear, o.Channels = false, 3
	if o.Depth == 0 {
		o.Depth = 4
	}
	f := o.Features
	r := &ridNet{shape: o, head: nn.Conv3x3{Name: "head.body.0", In: 3, Out: f, Bias: true}, tail: nn.Conv3x3{Name: "tail", In: f, Out: 3, Bias: true}}
	for i := range o.Depth {
		r.modules = append(r.modules, newAttentionModule(fmt.Sprintf("b%d", i+1), f))
	}
	return r
}

func (r *ridNet) options() Options { return r.shape }

func (r *ridNet) guess(shapes map[string][]int) []Options {
	list := guessWidth(shapes, r.head.Name+".weight")
	for i := range list {
		list[i].Depth = count(shapes, "b%d.r1.body1.0.weight", 1)
	}
	return list
}

// constants are the means as the authors save them, in 1x1 convolutions that are not
// trained. The network does without.
func (r *ridNet) constants() []nn.Entry {
	var all []nn.Entry
	for _, name := range []string{"sub_mean", "add_mean"} {
		all = append(all, nn.Conv1x1{Name: name, In: 3, Out: 3}.Entries()...)
	}
	return all
}

func (r *ridNet) Entries() []nn.Entry {
	all := r.head.Entries()
	for _, m := range r.modules {
		all = append(all, m.Entries()...)
	}
	return append(all, r.tail.Entries()...)
}

func (r *ridNet) Forward(s *nn.Scope, x, _ *graph.Node) *graph.Node {
	levels := graph.MulScalar(unit(x), 255)
	y := r.head.ReLU(s, s.Enter(shift(levels, -1)))
	for _, m := range r.modules {
		y = s.Block(func(xs ...nn.Map) nn.Map { return m.Forward(s, xs[0]) }, y)
	}
	found := shift(s.Leave(r.tail.Forward(s, y)), 1)
	return graph.Add(x, graph.MulScalar(found, 2.0/255))
}

// shift adds the means of the colours, times a sign, to images [n, 3, h, w].
func shift(x *graph.Node, sign float64) *graph.Node {
	var planes []*graph.Node
	for c, mean := range RIDNetMeans {
		planes = append(planes, graph.AddScalar(graph.SliceAxis(x, 1, graph.AxisRange(c, c+1)), sign*mean))
	}
	return graph.Concatenate(planes, 1)
}

// attentionModule is RIDNet's enhancement attention module.
type attentionModule struct {
	near, far           [2]nn.Conv3x3 // dilated by 1 and 2, and by 3 and 4
	merge               nn.Conv3x3
	short               [2]nn.Conv3x3
	long                [2]nn.Conv3x3
	pointwise           nn.Conv1x1
	squeeze, excitation nn.Conv1x1
}

func newAttentionModule(name string, f int) attentionModule {
	conv := func(what string, in, dilation int) nn.Conv3x3 {
		return nn.Conv3x3{Name: name + "." + what, In: in, Out: f, Bias: true, Dilation: dilation}
	}
	narrow := max(1, f/16)
	return attentionModule{
		near:  [2]nn.Conv3x3{conv("r1.body1.0", f, 1), conv("r1.body1.2", f, 2)},
		far:   [2]nn.Conv3x3{conv("r1.body2.0", f, 3), conv("r1.body2.2", f, 4)},
		merge: conv("r1.body3.0", 2*f, 1),
		short: [2]nn.Conv3x3{conv("r2.body.0", f, 1), conv("r2.body.2", f, 1)},
		long:  [2]nn.Conv3x3{conv("r3.body.0", f, 1), conv("r3.body.2", f, 1)}, pointwise: nn.Conv1x1{Name: name + ".r3.body.4", In: f, Out: f},
		squeeze: nn.Conv1x1{Name: name + ".ca.c1.body.0", In: f, Out: narrow}, excitation: nn.Conv1x1{Name: name + ".ca.c2.body.0", In: narrow, Out: f},
	}
}

func (m attentionModule) Entries() []nn.Entry {
	return entries(m.near[0], m.near[1], m.far[0], m.far[1], m.merge, m.short[0], m.short[1], m.long[0], m.long[1], m.pointwise, m.squeeze, m.excitation)
}

func (m attentionModule) Forward(s *nn.Scope, x nn.Map) nn.Map {
	near := m.near[1].ReLU(s, m.near[0].ReLU(s, x))
	far := m.far[1].ReLU(s, m.far[0].ReLU(s, x))
	y := nn.Add(s, m.merge.ReLU(s, near, far), x)
	y = nn.AddReLU(s, m.short[1].Forward(s, m.short[0].ReLU(s, y)), y)
	y = nn.AddReLU(s, m.pointwise.Forward(s, m.long[1].ReLU(s, m.long[0].ReLU(s, y))), y)
	attention := nn.ReLU(s, m.squeeze.Forward(s, nn.Mean(s, y)))
	return nn.ScaleChannels(s, y, nn.Sigmoid(s, m.excitation.Forward(s, attention)))
}
