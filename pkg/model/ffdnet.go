package model

import (
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn"
)

// ffdNet is FFDNet (Zhang, Zuo & Zhang, "FFDNet: Toward a Fast and Flexible Solution
// for CNN-Based Image Denoising", IEEE TIP 2018): blocks of 2x2 pixels become
// channels, so that a stack of convolutions works at half the size, and the level of
// the noise is one more input. Published are 12 layers of 96 features for colour, 15
// of 64 for grey pictures.
//
// ffdnet is with batch norm as in the authors' second paper (Tassano, Delon & Veit,
// "An Analysis and Implementation of the FFDNet Image Denoising Method", IPOL 2019),
// whose network sees the level once for each channel, before the pixels;
// ffdnet_merged is as in KAIR: no batch norm, the level once, behind the pixels.
type ffdNet struct {
	prefix string
	merged bool
	shape  Options
	layers stack
}

func newFFDNet(o Options) architecture {
	return buildFFDNet("intermediate_dncnn.itermediate_dncnn", false, o)
}

func newFFDNetMerged(o Options) architecture { return buildFFDNet("model", true, o) }

func buildFFDNet(prefix string, merged bool, o Options) architecture {
	o = stackOptions(o, 12, 15)
	f := &ffdNet{prefix: prefix, merged: merged, shape: o}
	f.layers = newStack(prefix, merged, 4*o.Channels+f.levels(), o.Features, 4*o.Channels, o.Depth)
	return f
}

// levels is how often the level of the noise goes in.
func (f *ffdNet) levels() int {
	if f.merged {
		return 1
	}
	return f.shape.Channels
}

func (f *ffdNet) takesSigma() {}

func (f *ffdNet) options() Options { return f.shape }

func (f *ffdNet) guess(shapes map[string][]int) []Options {
	_, features, out, depth, ok := guessStack(f.prefix, shapes)
	if !ok || out != 4 && out != 12 {
		return nil
	}
	return []Options{{Features: features, Channels: out / 4, Depth: depth}}
}

func (f *ffdNet) Entries() []nn.Entry { return f.layers.Entries() }

// Forward repeats the last row and column of pictures with odd sides.
func (f *ffdNet) Forward(s *nn.Scope, x, sigma *graph.Node) *graph.Node {
	padded := repeatEdges(unit(x), 2)
	pixels := nn.PixelUnshuffle(s, s.Enter(padded))
	d := padded.Shape().Dimensions
	level := s.Enter(levelMap(x, sigma, f.levels(), d[2]/2, d[3]/2))
	in := []nn.Map{level, pixels}
	if f.merged {
		in = []nn.Map{pixels, level}
	}
	noise := s.Leave(nn.PixelShuffle(s, f.layers.Forward(s, in...)))
	return subtractNoise(x, cropTo(noise, x))
}

// levelMap spreads the level of each image's noise, as a share of the 255 grey
// levels, over c channels of h by w: [n, c, h, w]. No level is 0.
func levelMap(x, sigma *graph.Node, c, h, w int) *graph.Node {
	n := x.Shape().Dim(0)
	if sigma == nil {
		return graph.Zeros(x.Graph(), shapes.Make(x.DType(), n, c, h, w))
	}
	share := graph.MulScalar(graph.ConvertDType(sigma, x.DType()), 1.0/255)
	return graph.BroadcastToDims(graph.Reshape(share, n, 1, 1, 1), n, c, h, w)
}
