package nn

import "github.com/gomlx/gomlx/core/graph"

// PixelUnshuffle makes four channels of each, one for each pixel of its blocks of
// 2x2: PyTorch's PixelUnshuffle(2), channel c*4 + 2*dy + dx. Both sides are even.
func PixelUnshuffle(s *Scope, x Map) Map { return s.lower.unshuffle(x) }

// PixelShuffle is the inverse of [PixelUnshuffle]: of C channels it makes C/4, of
// twice the height and width (Shi et al., CVPR 2016).
func PixelShuffle(s *Scope, x Map) Map { return s.lower.shuffle(x) }

// Strided is a convolution with kernel 2 and stride 2, which halves both sides,
// even ones: PyTorch's Conv2d(In, Out, 2, stride=2, bias=Bias).
type Strided struct {
	Name    string
	In, Out int
	Bias    bool
}

// Entries lists the weight [Out, In, 2, 2] and, with Bias, the bias [Out].
func (c Strided) Entries() []Entry {
	list := []Entry{uniform(c.Name+".weight", 4*c.In, c.Out, c.In, 2, 2)}
	if c.Bias {
		list = append(list, uniform(c.Name+".bias", 4*c.In, c.Out))
	}
	return list
}

// Forward maps In channels to Out, of half the height and width. No two blocks of
// pixels overlap, so it is a product for each.
func (c Strided) Forward(s *Scope, x Map) Map {
	w := s.value(c.Name + ".weight")
	return s.lower.conv1x1(s.lower.unshuffle(x), graph.Reshape(w, c.Out, 4*c.In, 1, 1), s.bias(c.Name, c.Bias))
}
