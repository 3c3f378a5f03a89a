package model

import (
	"fmt"

	"rekindle/pkg/nn"
)

// newAttentionUNet is a U-Net with an attention gate on each skip (Oktay et al.,
// "Attention U-Net: Learning Where to Look for the Pancreas", MIDL 2018).
func newAttentionUNet(o Options) architecture { return buildAttentionUNet(o, 4) }

// newAttentionUNetBottleneck has one on the skip of the deepest level alone.
func newAttentionUNetBottleneck(o Options) architecture { return buildAttentionUNet(o, 1) }

// buildAttentionUNet takes the number of gates, from the deepest level on. Apart
// from these the network differs from U-Net in two things: it interpolates where
// sizes differ, and its blocks have no other width in the middle.
func buildAttentionUNet(o Options, gates int) *unet {
	n := names{"inc.block", "down%d.block.1.block", "up%d.conv.block", "outc"}
	return newLevels(o, n, func(i, in, out int) up {
		u := up{transposed: newTransposed(o, i, in, 2), fit: nn.ResizeTo, conv: newDoubleConv(fmt.Sprintf(n.up, i), in, out, out)}
		if i <= gates {
			u.gate = newAttentionGate(fmt.Sprintf("up%d.attention", i), in/2, out)
		}
		return u
	})
}

// NameOf returns the name of the network that a checkpoint's tensors belong to,
// if it was saved under this one; has says which tensors there are. The two
// differ for attention_unet, which once was the network with a single gate.
func NameOf(name string, has func(tensor string) bool) string {
	if name == "attention_unet" && has("up1.attention.psi.0.weight") && !has("up2.attention.psi.0.weight") {
		return "attention_unet_bottleneck"
	}
	return name
}

// attentionGate scales each pixel of the skip by a weight in (0, 1): the sigmoid
// of psi(ReLU(W_g gate + W_x skip)), all three of them 1x1 convolutions with
// batch norm. The gating signal is the map from below, at the skip's size.
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
