package model

import (
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn"
)

// attentionUNet is a U-Net with an attention gate (Oktay et al., "Attention
// U-Net", MIDL 2018) on the skip of the deepest level.
type attentionUNet struct {
	inc  doubleConv
	down [4]doubleConv
	up   [4]attentionUp
	out  nn.Conv1x1
}

func newAttentionUNet(o Options) architecture {
	f := o.Features
	factor := 2
	if !o.Bilinear {
		factor = 1
	}
	a := &attentionUNet{inc: newDoubleConv("inc.block", 3, f, f), out: nn.Conv1x1{Name: "outc", In: f, Out: 3}}
	for i, c := range [][2]int{{f, 2 * f}, {2 * f, 4 * f}, {4 * f, 8 * f}, {8 * f, 16 * f / factor}} {
		a.down[i] = newDoubleConv("down"+digit(i+1)+".block.1.block", c[0], c[1], c[1])
	}
	for i, c := range [][2]int{{16 * f, 8 * f / factor}, {8 * f, 4 * f / factor}, {4 * f, 2 * f / factor}, {2 * f, f}} {
		a.up[i] = newAttentionUp("up"+digit(i+1), c[0], c[1], o.Bilinear, i == 0)
	}
	return a
}

func (a *attentionUNet) Entries() []nn.Entry {
	return entries(a.inc, a.down[0], a.down[1], a.down[2], a.down[3], a.up[0], a.up[1], a.up[2], a.up[3], a.out)
}

func (a *attentionUNet) Forward(s *nn.Scope, x *graph.Node) *graph.Node {
	levels := []nn.Map{a.inc.Forward(s, s.Enter(x))}
	for i, d := range a.down {
		levels = append(levels, d.Forward(s, nn.MaxPool(s, levels[i])))
	}
	y := levels[4]
	for i, up := range a.up {
		y = up.Forward(s, y, levels[3-i])
	}
	return s.Leave(a.out.Forward(s, y))
}

// attentionUp differs from up: it interpolates where sizes differ, and its
// blocks have no narrower middle.
type attentionUp struct {
	transposed *nn.Transposed // nil: bilinear
	gate       *attentionGate // nil: none at this level
	conv       doubleConv
}

func newAttentionUp(name string, in, out int, bilinear, attention bool) attentionUp {
	u := attentionUp{conv: newDoubleConv(name+".conv.block", in, out, out)}
	if !bilinear {
		u.transposed = &nn.Transposed{Name: name + ".up", In: in, Out: in / 2, Kernel: 2}
	}
	if attention {
		u.gate = newAttentionGate(name+".attention", in/2, out)
	}
	return u
}

func (u attentionUp) Entries() []nn.Entry {
	var all []nn.Entry
	if u.transposed != nil {
		all = append(all, u.transposed.Entries()...)
	}
	if u.gate != nil {
		all = append(all, u.gate.Entries()...)
	}
	return append(all, u.conv.Entries()...)
}

func (u attentionUp) Forward(s *nn.Scope, x, skip nn.Map) nn.Map {
	if u.transposed == nil {
		x = nn.Upsample(s, x)
	} else {
		x = u.transposed.Forward(s, x)
	}
	x = nn.ResizeTo(s, x, skip.H, skip.W)
	if u.gate != nil {
		skip = u.gate.Forward(s, x, skip)
	}
	return u.conv.Forward(s, skip, x)
}

// attentionGate scales each pixel of the skip by a weight in (0, 1).
type attentionGate struct {
	gate, skip, psi             nn.Conv1x1
	gateNorm, skipNorm, psiNorm nn.BatchNorm
}

func newAttentionGate(name string, in, mid int) *attentionGate {
	return &attentionGate{
		gate: nn.Conv1x1{Name: name + ".W_g.0", In: in, Out: mid}, gateNorm: nn.BatchNorm{Name: name + ".W_g.1", C: mid},
		skip: nn.Conv1x1{Name: name + ".W_x.0", In: in, Out: mid}, skipNorm: nn.BatchNorm{Name: name + ".W_x.1", C: mid},
		psi: nn.Conv1x1{Name: name + ".psi.0", In: mid, Out: 1}, psiNorm: nn.BatchNorm{Name: name + ".psi.1", C: 1},
	}
}

func (a *attentionGate) Entries() []nn.Entry {
	return entries(a.gate, a.gateNorm, a.skip, a.skipNorm, a.psi, a.psiNorm)
}

func (a *attentionGate) Forward(s *nn.Scope, gate, skip nn.Map) nn.Map {
	g := a.gateNorm.Forward(s, a.gate.Forward(s, gate), false)
	x := a.skipNorm.Forward(s, a.skip.Forward(s, skip), false)
	psi := a.psiNorm.Forward(s, a.psi.Forward(s, nn.AddReLU(s, g, x)), false)
	return nn.Scale(s, skip, nn.Sigmoid(s, psi))
}
