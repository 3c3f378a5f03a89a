package model

import (
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn"
)

// unet is U-Net (Ronneberger, Fischer & Brox, MICCAI 2015) with batch norm and
// convolutions that keep the size: four levels down, four up, a skip from each
// level to its mirror image.
type unet struct {
	inc  doubleConv
	down [4]doubleConv
	up   [4]up
	out  nn.Conv1x1
}

func newUNet(o Options) architecture { return buildUNet(o, 2) }

// buildUNet takes the kernel of the transposed convolutions, which differs
// between the original's networks.
func buildUNet(o Options, kernel int) *unet {
	f := o.Features
	factor := 2
	if !o.Bilinear {
		factor = 1
	}
	u := &unet{inc: newDoubleConv("inc.double_conv", 3, f, f), out: nn.Conv1x1{Name: "outc.conv", In: f, Out: 3}}
	for i, c := range [][2]int{{f, 2 * f}, {2 * f, 4 * f}, {4 * f, 8 * f}, {8 * f, 16 * f / factor}} {
		u.down[i] = newDoubleConv("down"+digit(i+1)+".maxpool_conv.1.double_conv", c[0], c[1], c[1])
	}
	for i, c := range [][2]int{{16 * f, 8 * f / factor}, {8 * f, 4 * f / factor}, {4 * f, 2 * f / factor}, {2 * f, f}} {
		u.up[i] = newUp("up"+digit(i+1), c[0], c[1], o.Bilinear, kernel)
	}
	return u
}

func digit(i int) string { return string(rune('0' + i)) }

func (u *unet) Entries() []nn.Entry {
	return entries(u.inc, u.down[0], u.down[1], u.down[2], u.down[3], u.up[0], u.up[1], u.up[2], u.up[3], u.out)
}

func (u *unet) Forward(s *nn.Scope, x *graph.Node) *graph.Node {
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

// up doubles the size, pads to the skip's and convolves the two together.
type up struct {
	transposed *nn.Transposed // nil: bilinear
	conv       doubleConv
}

func newUp(name string, in, out int, bilinear bool, kernel int) up {
	if bilinear {
		return up{conv: newDoubleConv(name+".conv.double_conv", in, in/2, out)}
	}
	return up{&nn.Transposed{Name: name + ".up", In: in, Out: in / 2, Kernel: kernel}, newDoubleConv(name+".conv.double_conv", in, out, out)}
}

func (u up) Entries() []nn.Entry {
	if u.transposed == nil {
		return u.conv.Entries()
	}
	return entries(u.transposed, u.conv)
}

func (u up) Forward(s *nn.Scope, x, skip nn.Map) nn.Map {
	if u.transposed == nil {
		x = nn.Upsample(s, x)
	} else {
		x = u.transposed.Forward(s, x)
	}
	return u.conv.Forward(s, skip, nn.PadTo(s, x, skip.H, skip.W))
}
