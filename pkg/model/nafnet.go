package model

import (
	"fmt"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn"
)

// nafNet is NAFNet (Chen, Chu, Zhang & Sun, "Simple Baselines for Image Restoration",
// ECCV 2022): a U-Net of blocks without any activation function but products. It
// finds what is to be added to the picture. Published for SIDD are 32 features,
// doubled at each of four levels, with 2, 2, 4 and 8 blocks on the way down, 12 at
// the bottom and 2 at each level on the way up. Tensors are called as in the
// authors' code.
//
// Its attention to channels takes means over the whole picture; of a tile, over that.
type nafNet struct {
	shape              Options
	intro, ending      nn.Conv3x3
	encoders, decoders [4][]nafBlock // decoders the deepest first
	middle             []nafBlock
	downs              [4]nn.Strided
	ups                [4]nn.Conv1x1 // whose channels become pixels
}

// newNAFNet makes as many blocks at each level as published where Depth is 0, else
// Depth of them.
func newNAFNet(o Options) architecture {
	o.Bilinear, o.Channels = false, 3
	down, middle, up := [4]int{2, 2, 4, 8}, 12, 2
	if o.Depth > 0 {
		down, middle, up = [4]int{o.Depth, o.Depth, o.Depth, o.Depth}, o.Depth, o.Depth
	}
	f := o.Features
	n := &nafNet{shape: o,
		intro: nn.Conv3x3{Name: "intro", In: 3, Out: f, Bias: true}, ending: nn.Conv3x3{Name: "ending", In: f, Out: 3, Bias: true},
		middle: newNAFBlocks("middle_blks", 16*f, middle),
	}
	for i := range 4 {
		c := f << i
		n.encoders[i] = newNAFBlocks(fmt.Sprintf("encoders.%d", i), c, down[i])
		n.downs[i] = nn.Strided{Name: fmt.Sprintf("downs.%d", i), In: c, Out: 2 * c, Bias: true}
		c = f << (3 - i)
		n.ups[i] = nn.Conv1x1{Name: fmt.Sprintf("ups.%d.0", i), In: 2 * c, Out: 4 * c, NoBias: true}
		n.decoders[i] = newNAFBlocks(fmt.Sprintf("decoders.%d", i), c, up)
	}
	return n
}

func (n *nafNet) options() Options { return n.shape }

func (n *nafNet) guess(shapes map[string][]int) []Options {
	list := guessWidth(shapes, n.intro.Name+".weight")
	for _, o := range list {
		o.Depth = count(shapes, "middle_blks.%d.beta", 0)
		list = append(list, o)
	}
	return list
}

func (n *nafNet) Entries() []nn.Entry {
	all := entries(n.intro, n.ending)
	for _, levels := range [][]nafBlock{
		n.encoders[0], n.encoders[1], n.encoders[2], n.encoders[3], n.decoders[0], n.decoders[1], n.decoders[2], n.decoders[3], n.middle,
	} {
		for _, b := range levels {
			all = append(all, b.Entries()...)
		}
	}
	for _, up := range n.ups {
		all = append(all, up.Entries()...)
	}
	for _, down := range n.downs {
		all = append(all, down.Entries()...)
	}
	return all
}

// Forward puts zeros behind the last row and column until both sides are multiples of 16.
func (n *nafNet) Forward(s *nn.Scope, x, _ *graph.Node) *graph.Node {
	y := n.intro.Forward(s, s.Enter(addZeros(unit(x), 16)))
	var skips []nn.Map
	for i, blocks := range n.encoders {
		y = forwardAll(s, blocks, y)
		skips = append(skips, y)
		y = n.downs[i].Forward(s, y)
	}
	y = forwardAll(s, n.middle, y)
	for i, blocks := range n.decoders {
		y = nn.Add(s, nn.PixelShuffle(s, n.ups[i].Forward(s, y)), skips[3-i])
		y = forwardAll(s, blocks, y)
	}
	found := cropTo(s.Leave(n.ending.Forward(s, y)), x)
	return graph.Add(x, graph.MulScalar(found, 2))
}

// nafBlock is two residual blocks, one over the neighbourhood of each pixel with
// simplified channel attention, one over its channels alone.
type nafBlock struct {
	beta, gamma                nn.Factors
	conv1, conv3, conv4, conv5 nn.Conv1x1
	conv2                      nn.Depthwise
	attention                  nn.Conv1x1
	norm1, norm2               nn.LayerNorm
}

func newNAFBlocks(name string, c, depth int) (list []nafBlock) {
	for i := range depth {
		part := func(what string) string { return fmt.Sprintf("%s.%d.%s", name, i, what) }
		pointwise := func(what string, in, out int) nn.Conv1x1 { return nn.Conv1x1{Name: part(what), In: in, Out: out} }
		list = append(list, nafBlock{
			beta: nn.Factors{Name: part("beta"), C: c}, gamma: nn.Factors{Name: part("gamma"), C: c},
			conv1: pointwise("conv1", c, 2*c), conv2: nn.Depthwise{Name: part("conv2"), C: 2 * c}, conv3: pointwise("conv3", c, c),
			attention: pointwise("sca.1", c, c), conv4: pointwise("conv4", c, 2*c), conv5: pointwise("conv5", c, c),
			norm1: nn.LayerNorm{Name: part("norm1"), C: c}, norm2: nn.LayerNorm{Name: part("norm2"), C: c},
		})
	}
	return list
}

func (b nafBlock) Entries() []nn.Entry {
	return entries(b.beta, b.gamma, b.conv1, b.conv2, b.conv3, b.attention, b.conv4, b.conv5, b.norm1, b.norm2)
}

func (b nafBlock) Forward(s *nn.Scope, x nn.Map) nn.Map {
	return s.Block(func(xs ...nn.Map) nn.Map {
		y := nn.SimpleGate(s, b.conv2.Forward(s, b.conv1.Forward(s, b.norm1.Forward(s, xs[0]))))
		y = b.conv3.Forward(s, nn.ScaleChannels(s, y, b.attention.Forward(s, nn.Mean(s, y))))
		x := nn.Add(s, xs[0], b.beta.Forward(s, y))
		y = b.conv5.Forward(s, nn.SimpleGate(s, b.conv4.Forward(s, b.norm2.Forward(s, x))))
		return nn.Add(s, x, b.gamma.Forward(s, y))
	}, x)
}

func forwardAll(s *nn.Scope, blocks []nafBlock, x nn.Map) nn.Map {
	for _, b := range blocks {
		x = b.Forward(s, x)
	}
	return x
}

// addZeros puts zeros behind the last row and column of images [n, c, h, w] until
// both sides are multiples of something.
func addZeros(x *graph.Node, multiple int) *graph.Node {
	for axis := 2; axis < 4; axis++ {
		d := append([]int{}, x.Shape().Dimensions...)
		if d[axis] = (multiple - d[axis]%multiple) % multiple; d[axis] > 0 {
			x = graph.Concatenate([]*graph.Node{x, graph.Zeros(x.Graph(), shapes.Make(x.DType(), d...))}, axis)
		}
	}
	return x
}
