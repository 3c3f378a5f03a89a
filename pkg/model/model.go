// Package model holds the restoration networks, found by name. Names, shapes and
// order of their tensors are those of the Python original, so that weights move
// between the two.
//
//	net, err := model.New("unet", model.Options{Features: 64, Bilinear: true})
//	weights := net.Init(42)
//	y := net.Forward(scope, x) // inside a GoMLX graph
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

	"rekindle/pkg/nn"
)

// Options shape a network.
type Options struct {
	Features int  // channels of the first level
	Bilinear bool // bilinear upsampling; false: transposed convolutions
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
	// Forward maps images [n, 3, h, w] in [-1, 1] to restored ones, sides of at least 16.
	Forward(s *nn.Scope, x *graph.Node) *graph.Node
}

var registry = map[string]func(Options) architecture{
	"unet":                      newUNet,
	"unet_residual":             newUNetResidual,
	"attention_unet":            newAttentionUNet,
	"attention_unet_bottleneck": newAttentionUNetBottleneck,
	"shuffle_unet":              newShuffleUNet,
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
	return &Network{name, o, make(o)}, nil
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
