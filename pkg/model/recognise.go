package model

import (
	"slices"
	"strings"

	"rekindle/pkg/nn"
)

// Recognise returns the networks that have exactly the tensors of a state_dict,
// counters apart, by names and shapes; names in PyTorch's. unet and unet_residual
// with bilinear upsampling have the same tensors: both are returned.
func Recognise(shapes map[string][]int) []*Network {
	numbers := 0
	for name := range shapes {
		if !strings.HasSuffix(name, ".num_batches_tracked") {
			numbers++
		}
	}
	var fitting []*Network
	for _, name := range Names() {
		for _, bilinear := range []bool{true, false} {
			probe, err := New(name, Options{Features: 1, Bilinear: bilinear})
			if err != nil {
				continue
			}
			first, ok := shapes[probe.Entries()[0].Name] // [features, 3, 3, 3]
			if !ok || len(first) != 4 || first[0] < 1 || first[0] > maxFeatures {
				continue
			}
			net, err := New(name, Options{Features: first[0], Bilinear: bilinear})
			if err == nil && net.has(shapes, numbers) {
				fitting = append(fitting, net)
			}
		}
	}
	return fitting
}

// maxFeatures is far above what fits into memory.
const maxFeatures = 1 << 12

// has says whether shapes are those of the network's tensors, numbers of them.
func (n *Network) has(shapes map[string][]int, numbers int) bool {
	for _, e := range n.Entries() {
		if e.Role == nn.Counter {
			continue
		}
		if shape, ok := shapes[e.Name]; !ok || !slices.Equal(shape, e.Shape) {
			return false
		}
		numbers--
	}
	return numbers == 0
}
