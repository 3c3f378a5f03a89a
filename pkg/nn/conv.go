package nn

import "github.com/gomlx/gomlx/core/graph"

// Conv3x3 is a convolution with kernel 3 that keeps the size: PyTorch's
// Conv2d(In, Out, 3, padding=Dilation, dilation=Dilation, bias=Bias).
type Conv3x3 struct {
	Name     string
	In, Out  int
	Bias     bool
	Dilation int // distance of the kernel's positions; 0: 1
}

// Entries lists the weight [Out, In, 3, 3] and, with Bias, the bias [Out].
func (c Conv3x3) Entries() []Entry {
	list := []Entry{uniform(c.Name+".weight", 9*c.In, c.Out, c.In, 3, 3)}
	if c.Bias {
		list = append(list, uniform(c.Name+".bias", 9*c.In, c.Out))
	}
	return list
}

// Forward joins its inputs along the channels, In together, and maps them to Out
// channels of the same height and width.
func (c Conv3x3) Forward(s *Scope, xs ...Map) Map { return c.convolve(s, xs, false) }

// ReLU is [Conv3x3.Forward] and ReLU in one.
func (c Conv3x3) ReLU(s *Scope, xs ...Map) Map { return c.convolve(s, xs, true) }

func (c Conv3x3) convolve(s *Scope, xs []Map, relu bool) Map {
	return s.lower.Conv3x3(xs, s.value(c.Name+".weight"), s.bias(c.Name, c.Bias), relu, max(c.Dilation, 1))
}

// Conv1x1 is a convolution with kernel 1: PyTorch's Conv2d(In, Out, 1, bias=not NoBias).
type Conv1x1 struct {
	Name    string
	In, Out int
	NoBias  bool
}

// Entries lists the weight [Out, In, 1, 1] and, unless NoBias, the bias [Out].
func (c Conv1x1) Entries() []Entry {
	list := []Entry{uniform(c.Name+".weight", c.In, c.Out, c.In, 1, 1)}
	if !c.NoBias {
		list = append(list, uniform(c.Name+".bias", c.In, c.Out))
	}
	return list
}

// Forward maps the In channels of each pixel to Out.
func (c Conv1x1) Forward(s *Scope, x Map) Map {
	return s.lower.Conv1x1(x, s.value(c.Name+".weight"), s.bias(c.Name, !c.NoBias))
}

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
	return s.lower.Conv1x1(s.lower.PixelUnshuffle(x), graph.Reshape(w, c.Out, 4*c.In, 1, 1), s.bias(c.Name, c.Bias))
}

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
	return s.lower.Depthwise3x3(x, s.value(d.Name+".weight"), s.value(d.Name+".bias"))
}

// Transposed is a transposed convolution with stride 2 that doubles both sides:
// kernel 2 without padding, or kernel 4 with padding 1. PyTorch's
// ConvTranspose2d(In, Out, Kernel, stride=2, padding=(Kernel-2)/2, bias=not NoBias).
type Transposed struct {
	Name    string
	In, Out int
	Kernel  int
	NoBias  bool
}

// Entries lists the weight [In, Out, Kernel, Kernel] and, unless NoBias, the bias [Out].
func (t Transposed) Entries() []Entry {
	// PyTorch computes the fan of a transposed weight [in, out, k, k] from its
	// second axis.
	fan := t.Out * t.Kernel * t.Kernel
	list := []Entry{uniform(t.Name+".weight", fan, t.In, t.Out, t.Kernel, t.Kernel)}
	if !t.NoBias {
		list = append(list, uniform(t.Name+".bias", fan, t.Out))
	}
	return list
}

// Forward maps In channels to Out, of twice the height and width.
func (t Transposed) Forward(s *Scope, x Map) Map {
	w, bias := s.value(t.Name+".weight"), s.bias(t.Name, !t.NoBias)
	if t.Kernel == 4 {
		return s.lower.Transposed4x4(x, w, bias)
	}
	return s.lower.Transposed2x2(x, w, bias)
}
