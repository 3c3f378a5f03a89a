// Package model holds the restoration networks, found by name. Names, shapes and
// order of their tensors are those of the Python original, so that weights move
// between the two.
//
//	net, err := model.New("unet", model.Options{Features: 64, Bilinear: true})
//	weights := net.Init(42)
//	y := net.Forward(scope, x, nil) // inside a GoMLX graph
//
// A new network is one file with a type that implements [architecture], one line in
// the registry, and its name in config.Models.
package model

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/config"
	"rekindle/pkg/nn"
)

// Options shape a network. Each network looks at its own; [New] sets those that it
// does not look at to their zero values.
type Options struct {
	Features int  // channels of the first level
	Bilinear bool // bilinear upsampling; false: transposed convolutions
	Channels int  // of pictures: 3, or 1 for grey ones; 0: 3. Most networks know 3 alone
	Depth    int  // layers of a stack of convolutions, or blocks at each level; 0: as published
}

// OptionsOf are those that a configuration describes.
func OptionsOf(c config.Config) Options {
	return Options{Features: c.ModelFeatures, Bilinear: c.ModelBilinear, Depth: c.ModelDepth}
}

// Network is a network by name: what tensors it has and how it maps images.
type Network struct {
	Name    string
	Options Options
	architecture
}

// architecture is what a network has to say about itself.
type architecture interface {
	// Entries lists every tensor in the order of PyTorch's state_dict.
	Entries() []nn.Entry
	// Forward maps images [n, c, h, w] in [-1, 1], of 3 channels or of those that
	// Options say, to restored ones, sides of at least 16. sigma is the level of
	// their noise for networks that take one, see [Network.TakesSigma]: [n], a
	// standard deviation in grey levels of 0 to 255 for each image; nil: all 0.
	Forward(s *nn.Scope, x, sigma *graph.Node) *graph.Node
}

// fitting is an architecture that looks at other Options than Features and Bilinear.
type fitting interface {
	// options are those it was made with, none of them left open.
	options() Options
	// guess returns the options that tensors of these shapes may have come from,
	// nil where they are of another architecture.
	guess(shapes map[string][]int) []Options
}

// saving is an architecture whose authors save tensors that never change, which it
// does without.
type saving interface{ constants() []nn.Entry }

// levelled is an architecture that is told the level of the noise.
type levelled interface{ takesSigma() }

var registry = map[string]func(Options) architecture{
	"unet":                      newUNet,
	"unet_residual":             newUNetResidual,
	"attention_unet":            newAttentionUNet,
	"attention_unet_bottleneck": newAttentionUNetBottleneck,
	"shuffle_unet":              newShuffleUNet,
	"dncnn":                     newDnCNN,
	"dncnn_merged":              newDnCNNMerged,
	"ffdnet":                    newFFDNet,
	"ffdnet_merged":             newFFDNetMerged,
	"drunet":                    newDRUNet,
	"nafnet":                    newNAFNet,
	"ridnet":                    newRIDNet,
}

// New returns the named network. An unknown name is an error that lists those there are.
func New(name string, o Options) (*Network, error) {
	make, ok := registry[name]
	if !ok {
		return nil, fmt.Errorf("model: there is no network %q; there are %q", name, Names())
	}
	if o.Features < 1 {
		return nil, fmt.Errorf("model: %s needs at least one feature, got %d", name, o.Features)
	}
	if o.Channels == 0 {
		o.Channels = 3
	}
	if o.Channels != 1 && o.Channels != 3 {
		return nil, fmt.Errorf("model: pictures have 3 channels, or 1 where they are grey, not %d", o.Channels)
	}
	net := &Network{name, o, make(o)}
	if f, ok := net.architecture.(fitting); ok {
		net.Options = f.options()
	} else {
		net.Options = Options{Features: o.Features, Bilinear: o.Bilinear, Channels: 3}
	}
	if net.Options.Channels != o.Channels {
		return nil, fmt.Errorf("model: %s is for pictures of %d channels, not of %d", name, net.Options.Channels, o.Channels)
	}
	return net, nil
}

// TakesSigma says that the network is told the level of the noise: the argument
// sigma of Forward.
func (n *Network) TakesSigma() bool {
	_, ok := n.architecture.(levelled)
	return ok
}

// Names lists the networks there are.
func Names() []string { return slices.Sorted(maps.Keys(registry)) }

// MinSide is the smallest side of an image that the networks take: four
// poolings by two leave one pixel of it.
const MinSide = 16

// Weights lists the trained tensors in the order of PyTorch's parameters().
func (n *Network) Weights() []nn.Entry {
	return slices.DeleteFunc(n.Entries(), func(e nn.Entry) bool { return e.Role != nn.Weight })
}

// Constants are tensors that files of the network may hold beside [Network.Entries]:
// numbers that never change.
func (n *Network) Constants() []nn.Entry {
	if s, ok := n.architecture.(saving); ok {
		return s.constants()
	}
	return nil
}

// Shape says in words what the network's Options made of it: "64 features, bilinear
// upsampling", "64 features, depth 20".
func (n *Network) Shape() string {
	s := fmt.Sprintf("%d features", n.Options.Features)
	_, own := n.architecture.(fitting)
	switch {
	case n.Options.Depth > 0:
		s += fmt.Sprintf(", depth %d", n.Options.Depth)
	case own:
	case n.Options.Bilinear:
		s += ", bilinear upsampling"
	default:
		s += ", transposed convolutions"
	}
	if n.Options.Channels == 1 {
		s += ", for grey pictures"
	}
	return s
}

// NumParams is how many numbers are trained.
func (n *Network) NumParams() int {
	total := 0
	for _, e := range n.Weights() {
		size := 1
		for _, d := range e.Shape {
			size *= d
		}
		total += size
	}
	return total
}

// Init returns first values for all tensors but counters, as PyTorch's default
// initialisation draws them, depending on the seed alone.
func (n *Network) Init(seed int64) map[string][]float32 {
	r := rand.New(rand.NewPCG(uint64(seed), 0x696e6974)) // a stream of its own: "init"
	values := map[string][]float32{}
	for _, e := range n.Entries() {
		if e.Role != nn.Counter {
			values[e.Name] = e.Init(r)
		}
	}
	return values
}

// entries joins what several layers list.
func entries(layers ...interface{ Entries() []nn.Entry }) []nn.Entry {
	var all []nn.Entry
	for _, l := range layers {
		all = append(all, l.Entries()...)
	}
	return all
}
