package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rekindle/pkg/nn"
)

// Nearest is for tensors that [Recognise] knows nothing about: it returns the
// network with most of them, by names and shapes, and says what does not fit, in the
// network's order. The network is nil where no name of a tensor is known.
func Nearest(shapes map[string][]int) (nearest *Network, misfits []string) {
	best := 0.0
	for _, name := range Names() {
		probe, err := New(name, Options{Features: 1})
		if err != nil {
			continue
		}
		for _, o := range append(probe.guess(shapes), Options{Features: 64}, Options{Features: 64, Bilinear: true}) {
			net, err := New(name, o)
			if err != nil {
				continue
			}
			if share := net.share(shapes); share > best {
				nearest, best = net, share
			}
		}
	}
	if nearest != nil {
		misfits = nearest.misfits(shapes)
	}
	return nearest, misfits
}

// share is how much of the network and of the tensors is the same, from 0 to 1; a
// tensor of another shape counts half.
func (n *Network) share(shapes map[string][]int) float64 {
	same, all := 0.0, len(shapes)
	for _, e := range n.Entries() {
		shape, ok := shapes[e.Name]
		switch {
		case !ok && e.Role != nn.Counter:
			all++
		case ok && slices.Equal(shape, e.Shape):
			same++
		case ok:
			same += 0.5
		}
	}
	return same / float64(max(all, 1))
}

func (n *Network) misfits(shapes map[string][]int) (list []string) {
	left := maps.Clone(shapes)
	for _, e := range append(n.Entries(), n.Constants()...) {
		delete(left, e.Name)
	}
	for _, e := range n.Entries() {
		switch shape, ok := shapes[e.Name]; {
		case !ok && e.Role != nn.Counter:
			list = append(list, e.Name+" is missing")
		case ok && !slices.Equal(shape, e.Shape):
			list = append(list, fmt.Sprintf("%s is %v instead of %v", e.Name, shape, e.Shape))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		if !strings.HasSuffix(name, ".num_batches_tracked") {
			list = append(list, "there is no "+name+" in it")
		}
	}
	return list
}

// Guess is a clause for people about tensors that are not what was wanted: what they
// are, or what they are nearest to and where they differ; "" where nothing is known.
func Guess(shapes map[string][]int) string {
	var names []string
	for _, net := range Recognise(shapes) {
		names = append(names, fmt.Sprintf("%s (%s)", net.Name, net.Shape()))
	}
	if len(names) > 0 {
		return "they are those of " + strings.Join(names, " or ")
	}
	net, misfits := Nearest(shapes)
	if net == nil {
		return ""
	}
	const most = 3
	text := fmt.Sprintf("nearest is %s (%s), but %s", net.Name, net.Shape(), strings.Join(misfits[:min(most, len(misfits))], ", "))
	if more := len(misfits) - most; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}
