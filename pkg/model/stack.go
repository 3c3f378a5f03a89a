package model

import (
	"fmt"
	"slices"
	"strings"

	"rekindle/pkg/nn"
)

// stack is convolutions one behind the other, 3x3 and of one width, with ReLU
// between them: what DnCNN and FFDNet are. Either there is batch norm behind all
// but the first and the last, none of which has a bias, or each has a bias: the
// same after training, when batch norm is merged into the convolutions before it.
type stack struct {
	first, last nn.Conv3x3
	normed      []nn.ConvNormReLU
	biased      []nn.Conv3x3
}

// stackOptions are those of a network that is a stack; where they leave the depth
// open it is the published one, for colour or for grey pictures.
func stackOptions(o Options, colour, grey int) Options {
	o.Bilinear = false
	if o.Depth == 0 {
		o.Depth = colour
		if o.Channels == 1 {
			o.Depth = grey
		}
	}
	o.Depth = max(o.Depth, 2)
	return o
}

// newStack makes depth convolutions. Tensors are called prefix.N, where N counts
// what a torch.nn.Sequential of them holds, ReLUs included.
func newStack(prefix string, merged bool, in, features, out, depth int) stack {
	conv := func(at, in, out int) nn.Conv3x3 {
		return nn.Conv3x3{Name: fmt.Sprintf("%s.%d", prefix, at), In: in, Out: out, Bias: merged}
	}
	s := stack{first: conv(0, in, features)}
	at := 2
	for range depth - 2 {
		c := conv(at, features, features)
		if merged {
			s.biased = append(s.biased, c)
			at += 2
			continue
		}
		s.normed = append(s.normed, nn.ConvNormReLU{Conv: c, Norm: nn.BatchNorm{Name: fmt.Sprintf("%s.%d", prefix, at+1), C: features}})
		at += 3
	}
	s.last = conv(at, features, out)
	return s
}

func (s stack) Entries() []nn.Entry {
	all := s.first.Entries()
	for _, l := range s.normed {
		all = append(all, l.Entries()...)
	}
	for _, l := range s.biased {
		all = append(all, l.Entries()...)
	}
	return append(all, s.last.Entries()...)
}

// Forward joins its inputs along the channels.
func (s stack) Forward(scope *nn.Scope, xs ...nn.Map) nn.Map {
	y := s.first.ReLU(scope, xs...)
	for _, l := range s.normed {
		y = scope.Block(func(xs ...nn.Map) nn.Map { return l.Forward(scope, xs...) }, y)
	}
	for _, l := range s.biased {
		y = scope.Block(func(xs ...nn.Map) nn.Map { return l.ReLU(scope, xs...) }, y)
	}
	return s.last.Forward(scope, y)
}

// guessStack reads width and depth of a stack under some prefix, and how many channels
// go in and come out; ok is false where there is none.
func guessStack(prefix string, shapes map[string][]int) (in, features, out, depth int, ok bool) {
	last := -1
	for name, shape := range shapes {
		number, found := strings.CutSuffix(strings.TrimPrefix(name, prefix+"."), ".weight")
		var at int
		if n, err := fmt.Sscanf(number, "%d", &at); n != 1 || err != nil || !found || len(shape) != 4 {
			continue
		}
		depth++
		if at > last {
			last, out = at, shape[0]
		}
	}
	first := shapes[prefix+".0.weight"]
	ok = depth >= 2 && len(first) == 4 && slices.Max(first) <= maxFeatures
	if !ok {
		return 0, 0, 0, 0, false
	}
	return first[1], first[0], out, depth, true
}
