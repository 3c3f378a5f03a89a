package model

import (
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn"
)

// dnCNN is DnCNN (Zhang, Zuo, Chen, Meng & Zhang, "Beyond a Gaussian Denoiser:
// Residual Learning of Deep CNN for Image Denoising", IEEE TIP 2017): a stack of
// convolutions at full size that finds the noise, which is subtracted. Published are
// 64 features, with 17 layers for grey pictures and one level of noise, 20 for
// colour and for any level. Tensors are called as in DnCNN-PyTorch; those of
// dncnn_merged, whose batch norm is merged into the convolutions, as in KAIR.
type dnCNN struct {
	prefix string
	merged bool
	shape  Options
	layers stack
}

func newDnCNN(o Options) architecture { return buildDnCNN("dncnn", false, o) }

func newDnCNNMerged(o Options) architecture { return buildDnCNN("model", true, o) }

func buildDnCNN(prefix string, merged bool, o Options) architecture {
	o = stackOptions(o, 20, 17)
	return &dnCNN{prefix, merged, o, newStack(prefix, merged, o.Channels, o.Features, o.Channels, o.Depth)}
}

func (d *dnCNN) options() Options { return d.shape }

func (d *dnCNN) guess(shapes map[string][]int) []Options {
	in, features, out, depth, ok := guessStack(d.prefix, shapes)
	if !ok || in != out || in != 1 && in != 3 {
		return nil
	}
	return []Options{{Features: features, Channels: in, Depth: depth}}
}

func (d *dnCNN) Entries() []nn.Entry { return d.layers.Entries() }

func (d *dnCNN) Forward(s *nn.Scope, x, _ *graph.Node) *graph.Node {
	noise := s.Leave(d.layers.Forward(s, s.Enter(unit(x))))
	return subtractNoise(x, noise)
}

// unit takes pictures from [-1, 1] to [0, 1], for networks that were made for that.
func unit(x *graph.Node) *graph.Node { return graph.AddScalar(graph.MulScalar(x, 0.5), 0.5) }

// subtractNoise subtracts noise that was found in [0, 1] from pictures in [-1, 1].
func subtractNoise(x, noise *graph.Node) *graph.Node {
	return graph.Sub(x, graph.MulScalar(noise, 2))
}
