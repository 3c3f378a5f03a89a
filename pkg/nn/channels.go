package nn

import "github.com/gomlx/gomlx/core/graph"

// layerNormEpsilon is that of NAFNet's LayerNorm2d.
const layerNormEpsilon = 1e-6

// Depthwise is a convolution with kernel 3 and padding 1 of each channel by itself:
// PyTorch's Conv2d(C, C, 3, padding=1, groups=C).
type Depthwise struct {
	Name string
	C    int
}

// Entries lists the weight [C, 1, 3, 3] and the bias [C].
func (d Depthwise) Entries() []Entry {
	return []Entry{uniform(d.Name+".weight", 9, d.C, 1, 3, 3), uniform(d.Name+".bias", 9, d.C)}
}

// Forward keeps channels, height and width.
func (d Depthwise) Forward(s *Scope, x Map) Map {
	return s.lower.depthwise3x3(x, s.value(d.Name+".weight"), s.value(d.Name+".bias"))
}

// LayerNorm takes the channels of each pixel to mean 0 and variance 1, then scales
// and shifts each channel: LayerNorm2d of NAFNet (Chen, Chu, Zhang & Sun, ECCV 2022),
// after Ba, Kiros & Hinton, 2016.
type LayerNorm struct {
	Name string
	C    int
}

// Entries lists scale and shift, [C].
func (l LayerNorm) Entries() []Entry {
	return []Entry{{Name: l.Name + ".weight", Shape: []int{l.C}, constant: 1}, {Name: l.Name + ".bias", Shape: []int{l.C}}}
}

// Forward keeps channels, height and width.
func (l LayerNorm) Forward(s *Scope, x Map) Map {
	return s.lower.layerNorm(x, s.value(l.Name+".weight"), s.value(l.Name+".bias"))
}

// Factors are a trained factor for each channel, 0 at first: PyTorch's
// Parameter(zeros(1, C, 1, 1)).
type Factors struct {
	Name string
	C    int
}

// Entries lists the factors [1, C, 1, 1].
func (f Factors) Entries() []Entry { return []Entry{{Name: f.Name, Shape: []int{1, f.C, 1, 1}}} }

// Forward multiplies each channel by its factor.
func (f Factors) Forward(s *Scope, x Map) Map {
	factors := graph.Reshape(s.value(f.Name), f.C)
	return s.lower.affine(x, factors, graph.ZerosLike(factors), false)
}

// SimpleGate multiplies the first half of the channels by the second.
func SimpleGate(s *Scope, x Map) Map {
	return s.lower.zip(func(n ...*graph.Node) *graph.Node { return graph.Mul(n[0], n[1]) },
		s.lower.channels(x, 0, x.C/2), s.lower.channels(x, x.C/2, x.C))
}

// Mean is the mean of each channel of each image, a map of 1x1: PyTorch's
// AdaptiveAvgPool2d(1).
func Mean(s *Scope, x Map) Map { return s.lower.mean(x) }

// ScaleChannels multiplies each channel of each image by the value that by, a map of
// 1x1, has for it.
func ScaleChannels(s *Scope, x, by Map) Map {
	return s.lower.zip(func(n ...*graph.Node) *graph.Node { return graph.Mul(n[0], n[1]) }, x, s.lower.fill(by, x.H, x.W))
}

// ReLU is the larger of each value and 0.
func ReLU(s *Scope, x Map) Map {
	return s.lower.zip(func(n ...*graph.Node) *graph.Node { return relu(n[0]) }, x)
}
