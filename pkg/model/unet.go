package model

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn"
)

// unet is U-Net (Ronneberger, Fischer & Brox, MICCAI 2015) with batch norm and
// convolutions that keep the size: four levels down, four up, a skip from each
// level to its mirror image. The other networks are variants of it.
type unet struct {
	inc  doubleConv
	down [4]doubleConv
	up   [4]up
	out  nn.Conv1x1
}

// names of the blocks in the original; %d is the level, from 1.
type names struct{ inc, down, up, out string }

// newLevels makes all of a U-Net but its way up, which follows decoder: what
// makes level i of it, from in channels, those of the skip included, to out.
func newLevels(o Options, n names, decoder func(i, in, out int) up) *unet {
	f, factor := o.Features, 2
	if !o.Bilinear { // transposed convolutions halve the channels themselves
		factor = 1
	}
	u := &unet{inc: newDoubleConv(n.inc, 3, f, f), out: nn.Conv1x1{Name: n.out, In: f, Out: 3}}
	for i, c := range [][2]int{{f, 2 * f}, {2 * f, 4 * f}, {4 * f, 8 * f}, {8 * f, 16 * f / factor}} {
		u.down[i] = newDoubleConv(fmt.Sprintf(n.down, i+1), c[0], c[1], c[1])
	}
	for i, c := range [][2]int{{16 * f, 8 * f / factor}, {8 * f, 4 * f / factor}, {4 * f, 2 * f / factor}, {2 * f, f}} {
		u.up[i] = decoder(i+1, c[0], c[1])
	}
	return u
}

func newUNet(o Options) architecture { return buildUNet(o, 2) }

// buildUNet takes the kernel of the transposed convolutions, which differs
// between the original's networks.
func buildUNet(o Options, kernel int) *unet {
	n := names{"inc.double_conv", "down%d.maxpool_conv.1.double_conv", "up%d.conv.double_conv", "outc.conv"}
	return newLevels(o, n, func(i, in, out int) up {
		middle := out
		if o.Bilinear {
			middle = in / 2
		}
		return up{transposed: newTransposed(o, i, in, kernel), fit: nn.PadTo, conv: newDoubleConv(fmt.Sprintf(n.up, i), in, middle, out)}
	})
}

func (u *unet) Entries() []nn.Entry {
	return entries(u.inc, u.down[0], u.down[1], u.down[2], u.down[3], u.up[0], u.up[1], u.up[2], u.up[3], u.out)
}

func (u *unet) Forward(s *nn.Scope, x, _ *graph.Node) *graph.Node {
	levels := []nn.Map{u.inc.Forward(s, s.Enter(x))}
	for i, d := range u.down {
		levels = append(levels, d.Forward(s, nn.MaxPool(s, levels[i])))
	}
	y := levels[4]
	for i, up := range u.up {
		y = up.Forward(s, y, levels[3-i])
	}
	return s.Leave(u.out.Forward(s, y))
}

// doubleConv is twice convolution, batch norm and ReLU.
type doubleConv struct{ first, second nn.ConvNormReLU }

func newDoubleConv(name string, in, mid, out int) doubleConv {
	block := func(i, j string, in, out int) nn.ConvNormReLU {
		return nn.ConvNormReLU{Conv: nn.Conv3x3{Name: name + "." + i, In: in, Out: out}, Norm: nn.BatchNorm{Name: name + "." + j, C: out}}
	}
	return doubleConv{block("0", "1", in, mid), block("3", "4", mid, out)}
}

func (d doubleConv) Entries() []nn.Entry { return entries(d.first, d.second) }

func (d doubleConv) Forward(s *nn.Scope, xs ...nn.Map) nn.Map {
	return s.Block(func(xs ...nn.Map) nn.Map { return d.second.Forward(s, d.first.Forward(s, xs...)) }, xs...)
}

// up doubles the size, fits it to the skip's and convolves the two together.
type up struct {
	transposed *nn.Transposed                               // nil: bilinear
	fit        func(s *nn.Scope, x nn.Map, h, w int) nn.Map // where pooling halved an odd side
	gate       *attentionGate                               // nil: the skip as it is
	conv       doubleConv
}

func newTransposed(o Options, i, in, kernel int) *nn.Transposed {
	if o.Bilinear {
		return nil
	}
	return &nn.Transposed{Name: fmt.Sprintf("up%d.up", i), In: in, Out: in / 2, Kernel: kernel}
}

func (u up) Entries() []nn.Entry {
	var all []nn.Entry
	if u.transposed != nil {
		all = append(all, u.transposed.Entries()...)
	}
	if u.gate != nil {
		all = append(all, u.gate.Entries()...)
	}
	return append(all, u.conv.Entries()...)
}

func (u up) Forward(s *nn.Scope, x, skip nn.Map) nn.Map {
	if u.transposed == nil {
		x = nn.Upsample(s, x)
	} else {
		x = u.transposed.Forward(s, x)
	}
	x = u.fit(s, x, skip.H, skip.W)
	if u.gate != nil {
		skip = u.gate.Forward(s, x, skip)
	}
	return u.conv.Forward(s, skip, x)
}
