package model

import (
	"fmt"
	"slices"
	"strings"

	"rekindle/pkg/nn"
)

// Recognise returns the networks that have exactly the tensors of a state_dict,
// counters apart, by names and shapes; names in PyTorch's. None is returned twice,
// but unet and unet_residual with bilinear upsampling have the same tensors: both
// are returned.
func Recognise(shapes map[string][]int) []*Network {
	numbers := 0
	for name := range shapes {
		if !strings.HasSuffix(name, ".num_batches_tracked") {
			numbers++
		}
	}
	var found []*Network
	for _, name := range Names() {
		probe, err := New(name, Options{Features: 1})
		if err != nil {
			continue
		}
		for _, o := range probe.guess(shapes) {
			if net, err := New(name, o); err == nil && net.has(shapes, numbers) {
				found = append(found, net)
				break
			}
		}
	}
	return found
}

// guess returns the options that tensors of these shapes may have come from.
func (n *Network) guess(shapes map[string][]int) []Options {
	if f, ok := n.architecture.(fitting); ok {
		return f.guess(shapes)
	}
	var both []Options
	for _, o := range guessWidth(shapes, n.Entries()[0].Name) {
		for _, o.Bilinear = range []bool{true, false} {
			both = append(both, o)
		}
	}
	return both
}

// guessWidth takes the first convolution [features, in, h, w] for that of a network
// that differs in nothing but its width.
func guessWidth(shapes map[string][]int, first string) []Options {
	if shape := shapes[first]; len(shape) == 4 && shape[0] <= maxFeatures {
		return []Options{{Features: shape[0]}}
	}
	return nil
}

// count is how many tensors there are of names that differ in a number, from first on.
func count(shapes map[string][]int, format string, first int) (n int) {
	for {
		if _, ok := shapes[fmt.Sprintf(format, first+n)]; !ok {
			return n
		}
		n++
	}
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
	for _, e := range n.Constants() {
		if shape, ok := shapes[e.Name]; ok && slices.Equal(shape, e.Shape) {
			numbers--
		}
	}
	return numbers == 0
}
