package model

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn"
)

// drUNet is DRUNet (Zhang, Li, Zuo, Zhang, Van Gool & Timofte, "Plug-and-Play Image
// Restoration with Deep Denoiser Prior", IEEE TPAMI 2021): a U-Net of residual
// blocks without bias or batch norm, whose skips are added, with the level of the
// noise as one more channel of the picture. Published are 64 features, doubled from
// level to level, and four blocks at each. It finds the picture, not the noise.
// Tensors are called as in KAIR.
type drUNet struct {
	shape      Options
	head, tail nn.Conv3x3
	down, up   [3]drLevel // up the deepest first
	body       drLevel
}

func newDRUNet(o Options) architecture {
	o.Bilinear = false
	if o.Depth == 0 {
		o.Depth = 4
	}
	f := o.Features
	u := &drUNet{shape: o,
		head: nn.Conv3x3{Name: "m_head", In: o.Channels + 1, Out: f}, tail: nn.Conv3x3{Name: "m_tail", In: f, Out: o.Channels},
		body: newDRLevel("m_body", 0, 8*f, o.Depth),
	}
	for i := range 3 {
		c := f << i
		u.down[i] = newDRLevel(fmt.Sprintf("m_down%d", i+1), 0, c, o.Depth)
		u.down[i].down = &nn.Strided{Name: fmt.Sprintf("m_down%d.%d", i+1, o.Depth), In: c, Out: 2 * c}
		c = f << (2 - i)
		u.up[i] = newDRLevel(fmt.Sprintf("m_up%d", 3-i), 1, c, o.Depth)
		u.up[i].up = &nn.Transposed{Name: fmt.Sprintf("m_up%d.0", 3-i), In: 2 * c, Out: c, Kernel: 2, NoBias: true}
	}
	return u
}

func (u *drUNet) takesSigma() {}

func (u *drUNet) options() Options { return u.shape }

func (u *drUNet) guess(shapes map[string][]int) []Options {
	list := guessWidth(shapes, u.head.Name+".weight")
	for i := range list {
		list[i].Channels = shapes[u.head.Name+".weight"][1] - 1
		list[i].Depth = count(shapes, "m_body.%d.res.0.weight", 0)
	}
	return list
}

func (u *drUNet) Entries() []nn.Entry {
	return entries(u.head, u.down[0], u.down[1], u.down[2], u.body, u.up[0], u.up[1], u.up[2], u.tail)
}

// Forward repeats the last rows and columns until both sides are multiples of 8.
func (u *drUNet) Forward(s *nn.Scope, x, sigma *graph.Node) *graph.Node {
	padded := repeatEdges(unit(x), 8)
	d := padded.Shape().Dimensions
	levels := []nn.Map{u.head.Forward(s, s.Enter(padded), s.Enter(levelMap(x, sigma, 1, d[2], d[3])))}
	for i, l := range u.down {
		levels = append(levels, l.Forward(s, levels[i]))
	}
	y := u.body.Forward(s, levels[3])
	for i, l := range u.up {
		y = l.Forward(s, nn.Add(s, y, levels[3-i]))
	}
	return symmetric(cropTo(s.Leave(u.tail.Forward(s, nn.Add(s, y, levels[0]))), x))
}

// symmetric takes pictures from [0, 1] to [-1, 1].
func symmetric(x *graph.Node) *graph.Node { return graph.AddScalar(graph.MulScalar(x, 2), -1) }

// drLevel is residual blocks of one size: x + convolution(ReLU(convolution(x))).
type drLevel struct {
	up     *nn.Transposed // before them; nil: none
	blocks [][2]nn.Conv3x3
	down   *nn.Strided // behind them; nil: none
}

func newDRLevel(name string, first, c, depth int) (l drLevel) {
	for i := range depth {
		conv := func(j int) nn.Conv3x3 {
			return nn.Conv3x3{Name: fmt.Sprintf("%s.%d.res.%d", name, first+i, j), In: c, Out: c}
		}
		l.blocks = append(l.blocks, [2]nn.Conv3x3{conv(0), conv(2)})
	}
	return l
}

func (l drLevel) Entries() []nn.Entry {
	var all []nn.Entry
	if l.up != nil {
		all = l.up.Entries()
	}
	for _, b := range l.blocks {
		all = append(all, entries(b[0], b[1])...)
	}
	if l.down != nil {
		all = append(all, l.down.Entries()...)
	}
	return all
}

func (l drLevel) Forward(s *nn.Scope, x nn.Map) nn.Map {
	if l.up != nil {
		x = l.up.Forward(s, x)
	}
	for _, b := range l.blocks {
		x = residual(s, b, x)
	}
	if l.down != nil {
		x = l.down.Forward(s, x)
	}
	return x
}
