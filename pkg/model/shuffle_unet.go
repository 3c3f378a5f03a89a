package model

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn"
)

// shuffleUNet is a small residual U-Net for a processor: blocks of 2x2 pixels
// become channels at the entry and pixels again at the exit, as in FFDNet (Zhang,
// Zuo & Zhang, IEEE TIP 2018), so that all work is done at half the resolution;
// between them lie three levels of residual blocks without batch norm whose skips
// are added, as in DRUNet (Zhang et al., IEEE TPAMI 2021). It predicts the noise,
// which is subtracted, and is told no level of it.
type shuffleUNet struct {
	entry, exit nn.Conv3x3
	encoder     [2]residualBlocks
	down        [2]nn.Strided
	middle      residualBlocks
	up          [2]nn.Transposed // the coarser first, as the blocks behind them
	decoder     [2]residualBlocks
}

func newShuffleUNet(o Options) architecture {
	f := o.Features
	u := &shuffleUNet{
		entry: nn.Conv3x3{Name: "entry", In: 12, Out: f, Bias: true}, exit: nn.Conv3x3{Name: "exit", In: f, Out: 12, Bias: true},
		middle: newResidualBlocks("middle", 4*f),
	}
	for i := range 2 {
		c := f << i
		u.encoder[i] = newResidualBlocks(fmt.Sprintf("encoder.%d", i), c)
		u.down[i] = nn.Strided{Name: fmt.Sprintf("down.%d", i), In: c, Out: 2 * c, Bias: true}
		c = f << (1 - i)
		u.up[i] = nn.Transposed{Name: fmt.Sprintf("up.%d", i), In: 2 * c, Out: c, Kernel: 2}
		u.decoder[i] = newResidualBlocks(fmt.Sprintf("decoder.%d", i), c)
	}
	return u
}

func (u *shuffleUNet) options() Options { return Options{Features: u.entry.Out, Channels: 3} }

func (u *shuffleUNet) guess(shapes map[string][]int) []Options {
	return guessWidth(shapes, u.entry.Name+".weight")
}

func (u *shuffleUNet) Entries() []nn.Entry {
	return entries(u.entry, u.encoder[0], u.down[0], u.encoder[1], u.down[1], u.middle, u.up[0], u.decoder[0], u.up[1], u.decoder[1], u.exit)
}

func (u *shuffleUNet) Forward(s *nn.Scope, x, _ *graph.Node) *graph.Node {
	padded := repeatEdges(x, 8)
	first := u.encoder[0].Forward(s, u.entry.Forward(s, nn.PixelUnshuffle(s, s.Enter(padded))))
	second := u.encoder[1].Forward(s, u.down[0].Forward(s, first))
	y := u.middle.Forward(s, u.down[1].Forward(s, second))
	y = u.decoder[0].Forward(s, nn.Add(s, u.up[0].Forward(s, y), second))
	y = u.decoder[1].Forward(s, nn.Add(s, u.up[1].Forward(s, y), first))
	noise := s.Leave(nn.PixelShuffle(s, u.exit.Forward(s, y)))
	return graph.Sub(x, cropTo(noise, x))
}

// residualBlocks are two blocks of x + convolution(ReLU(convolution(x))).
type residualBlocks [2][2]nn.Conv3x3

func newResidualBlocks(name string, c int) (r residualBlocks) {
	for i := range r {
		for j := range r[i] {
			r[i][j] = nn.Conv3x3{Name: fmt.Sprintf("%s.%d.%d", name, i, 2*j), In: c, Out: c, Bias: true}
		}
	}
	return r
}

func (r residualBlocks) Entries() []nn.Entry { return entries(r[0][0], r[0][1], r[1][0], r[1][1]) }

func (r residualBlocks) Forward(s *nn.Scope, x nn.Map) nn.Map {
	for _, block := range r {
		x = residual(s, block, x)
	}
	return x
}

// residual is x + convolution(ReLU(convolution(x))).
func residual(s *nn.Scope, block [2]nn.Conv3x3, x nn.Map) nn.Map {
	return s.Block(func(xs ...nn.Map) nn.Map {
		return nn.Add(s, xs[0], block[1].Forward(s, block[0].ReLU(s, xs[0])))
	}, x)
}

// repeatEdges repeats the last row and column of images [n, c, h, w] until both
// sides are multiples of something; cropTo takes that away again.
func repeatEdges(x *graph.Node, multiple int) *graph.Node {
	for axis := 2; axis < 4; axis++ {
		n := x.Shape().Dim(axis)
		missing := (multiple - n%multiple) % multiple
		if missing == 0 {
			continue
		}
		list := []*graph.Node{x}
		last := graph.SliceAxis(x, axis, graph.AxisRange(n-1, n))
		for range missing {
			list = append(list, last)
		}
		x = graph.Concatenate(list, axis)
	}
	return x
}

func cropTo(x, like *graph.Node) *graph.Node {
	h, w := like.Shape().Dim(2), like.Shape().Dim(3)
	if x.Shape().Dim(2) == h && x.Shape().Dim(3) == w {
		return x
	}
	return graph.Slice(x, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(0, h), graph.AxisRange(0, w))
}
