package nn

import (
	"math"

	"github.com/gomlx/gomlx/core/graph"
)

// PyTorch's defaults for BatchNorm2d. Variables, so that a test can show that
// wrong ones would be noticed.
var (
	normMomentum = 0.1
	normEpsilon  = 1e-5
)

// Conv3x3 is a convolution with kernel 3 that keeps the size: PyTorch's
// Conv2d(In, Out, 3, padding=Dilation, dilation=Dilation, bias=Bias).
type Conv3x3 struct {
	Name     string
	In, Out  int
	Bias     bool
	Dilation int // distance of the taps; 0: 1
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
	return s.lower.conv3x3(xs, s.value(c.Name+".weight"), s.bias(c.Name, c.Bias), relu, max(c.Dilation, 1))
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
	return s.lower.conv1x1(x, s.value(c.Name+".weight"), s.bias(c.Name, !c.NoBias))
}

// BatchNorm is PyTorch's BatchNorm2d(C) (Ioffe & Szegedy, ICML 2015).
type BatchNorm struct {
	Name string
	C    int
}

// Entries lists scale and shift, trained, and the running mean and variance, all
// [C], and the counter of batches, in the order of state_dict.
func (b BatchNorm) Entries() []Entry {
	shape := []int{b.C}
	return []Entry{
		{Name: b.Name + ".weight", Shape: shape, constant: 1},
		{Name: b.Name + ".bias", Shape: shape},
		{Name: b.Name + ".running_mean", Shape: shape, Role: Statistic},
		{Name: b.Name + ".running_var", Shape: shape, Role: Statistic, constant: 1},
		{Name: b.Name + ".num_batches_tracked", Role: Counter},
	}
}

// Forward normalises each channel to mean 0 and variance 1, then scales and shifts
// it, and applies ReLU as well if asked to. In training mean and variance are those
// of the channel over all images and pixels of the batch, and the running ones move
// a tenth of the way there (see [Scope.Updates]); otherwise they are the running ones.
func (b BatchNorm) Forward(s *Scope, x Map, relu bool) Map {
	gamma, beta := s.value(b.Name+".weight"), s.value(b.Name+".bias")
	if !s.training {
		scale, shift := b.running(s)
		return s.lower.affine(x, scale, shift, relu)
	}
	y, mean, variance := s.lower.normalize(x, s.shares, gamma, beta, relu)
	// The batch is normalised by its biased variance; the unbiased one goes
	// into the running average. A batch of one value a channel has no unbiased
	// variance: the running one then stays.
	s.track(b.Name+".running_mean", mean, 1)
	variances := b.Name + ".running_var"
	if s.present != nil {
		s.trackPadded(variances, variance, x.H*x.W)
	} else if count := float64(x.n * x.H * x.W); count > 1 {
		s.track(variances, variance, count/(count-1))
	} else {
		s.updates[variances] = s.value(variances)
	}
	return y
}

func (s *Scope) track(name string, batch *graph.Node, factor float64) {
	old := s.value(name)
	s.updates[name] = graph.Add(graph.MulScalar(old, 1-normMomentum), graph.MulScalar(graph.StopGradient(batch), normMomentum*factor))
}

// trackPadded is what Forward does with the variance, where only the device
// knows how many images are there.
func (s *Scope) trackPadded(name string, variance *graph.Node, pixels int) {
	old := s.value(name)
	count := graph.ConvertDType(graph.MulScalar(s.present, pixels), variance.DType())
	factor := graph.Div(count, graph.MaxScalar(graph.AddScalar(count, -1), 1))
	s.track(name, graph.Mul(variance, factor), 1)
	enough := graph.BroadcastToShape(graph.GreaterThan(count, graph.OnesLike(count)), old.Shape())
	s.updates[name] = graph.Where(enough, s.updates[name], old)
}

// running returns evaluation-mode batch norm as scale and shift.
func (b BatchNorm) running(s *Scope) (scale, shift *graph.Node) {
	mean, variance := s.value(b.Name+".running_mean"), s.value(b.Name+".running_var")
	scale = graph.Div(s.value(b.Name+".weight"), graph.Sqrt(graph.AddScalar(variance, normEpsilon)))
	return scale, graph.Sub(s.value(b.Name+".bias"), graph.Mul(mean, scale))
}

// ConvNormReLU is a 3x3 convolution, batch norm and ReLU. For inference the
// three are one convolution with bias.
type ConvNormReLU struct {
	Conv Conv3x3
	Norm BatchNorm
}

// Entries lists the convolution's tensor, then batch norm's.
func (c ConvNormReLU) Entries() []Entry { return append(c.Conv.Entries(), c.Norm.Entries()...) }

// Forward joins its inputs along the channels as [Conv3x3.Forward] does.
func (c ConvNormReLU) Forward(s *Scope, xs ...Map) Map {
	if s.training {
		return c.Norm.Forward(s, c.Conv.Forward(s, xs...), true)
	}
	scale, shift := c.Norm.running(s)
	w := s.value(c.Conv.Name + ".weight")
	w = graph.Mul(w, graph.BroadcastToShape(graph.Reshape(scale, c.Conv.Out, 1, 1, 1), w.Shape()))
	return s.lower.conv3x3(xs, w, shift, true, max(c.Conv.Dilation, 1))
}

// MaxPool halves both sides, rounding down. Of equal largest values the first
// in row-major order gets the gradient.
func MaxPool(s *Scope, x Map) Map { return s.lower.maxPool(x) }

// Upsample doubles both sides by bilinear interpolation with align_corners=True;
// see [Scope.Tiled] for where it does not.
func Upsample(s *Scope, x Map) Map {
	if s.tiled {
		if l, ok := s.lower.(native); ok {
			return l.double(x)
		}
		return s.lower.resize(x, halfPixels(x.H, 2*x.H), halfPixels(x.W, 2*x.W))
	}
	return s.lower.resize(x, alignedCorners(x.H, 2*x.H), alignedCorners(x.W, 2*x.W))
}

// ResizeTo interpolates bilinearly with align_corners=False.
func ResizeTo(s *Scope, x Map, h, w int) Map {
	if x.H == h && x.W == w {
		return x
	}
	return s.lower.resize(x, halfPixels(x.H, h), halfPixels(x.W, w))
}

// PadTo adds zeros until the map is h high and w wide: half of them before,
// and where their number is odd one more behind.
func PadTo(s *Scope, x Map, h, w int) Map {
	dy, dx := h-x.H, w-x.W
	if dy == 0 && dx == 0 {
		return x
	}
	return s.lower.pad(x, dx/2, dx-dx/2, dy/2, dy-dy/2)
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
		return s.lower.transpose4x4(x, w, bias)
	}
	return s.lower.transpose2x2(x, w, bias)
}

// AddReLU is ReLU of a sum.
func AddReLU(s *Scope, a, b Map) Map {
	return s.lower.zip(func(n ...*graph.Node) *graph.Node { return relu(graph.Add(n[0], n[1])) }, a, b)
}

// Add is the sum of two maps of one shape.
func Add(s *Scope, a, b Map) Map {
	return s.lower.zip(func(n ...*graph.Node) *graph.Node { return graph.Add(n[0], n[1]) }, a, b)
}

// Sigmoid squeezes every value into (0, 1).
func Sigmoid(s *Scope, x Map) Map {
	return s.lower.zip(func(n ...*graph.Node) *graph.Node { return graph.Sigmoid(n[0]) }, x)
}

// Scale multiplies every channel of x by the single channel of by.
func Scale(s *Scope, x, by Map) Map {
	return s.lower.zip(func(n ...*graph.Node) *graph.Node { return graph.Mul(n[0], n[1]) }, x, s.lower.spread(by, x.C))
}

// ScaleShift multiplies each channel by a constant and adds another.
func ScaleShift(s *Scope, x Map, scale, shift []float64) Map {
	row := func(v []float64) *graph.Node {
		return graph.Reshape(constant(x.parts[0], matrix{1, len(v), v}), len(v))
	}
	return s.lower.affine(x, row(scale), row(shift), false)
}

// MeanAbsDifference is the mean of |a-b| over all values of two maps of one
// shape. The slope of |x| at 0 is 0, as in PyTorch.
func MeanAbsDifference(s *Scope, a, b Map) *graph.Node {
	difference := s.lower.zip(func(n ...*graph.Node) *graph.Node {
		d := graph.Sub(n[0], n[1])
		return graph.Mul(d, graph.StopGradient(graph.Sign(d)))
	}, a, b)
	var sums []*graph.Node
	for _, p := range difference.parts {
		// Along rows first: a float32 that adds millions of values one by one
		// keeps few correct digits.
		sums = append(sums, graph.ReduceAllSum(graph.ReduceSum(p, -1)))
	}
	return graph.MulScalar(sum(sums), 1/float64(a.n*a.C*a.H*a.W))
}

// matrix is a dense matrix for interpolation, rows*columns values.
type matrix struct {
	rows, columns int
	values        []float64
}

// alignedCorners interpolates n values at m places, the outermost on each other.
func alignedCorners(n, m int) matrix {
	return interpolation(n, m, func(i int) float64 {
		if m == 1 {
			return 0
		}
		return float64(i) * float64(n-1) / float64(m-1)
	})
}

// halfPixels is PyTorch's align_corners=False.
func halfPixels(n, m int) matrix {
	return interpolation(n, m, func(i int) float64 {
		return math.Max(0, (float64(i)+0.5)*float64(n)/float64(m)-0.5)
	})
}

func interpolation(n, m int, position func(i int) float64) matrix {
	out := matrix{m, n, make([]float64, m*n)}
	for i := range m {
		at := position(i)
		low := min(int(at), n-1)
		high := min(low+1, n-1)
		out.values[i*n+low] += 1 - (at - float64(low))
		out.values[i*n+high] += at - float64(low)
	}
	return out
}

func (m matrix) transposed() matrix {
	out := matrix{m.columns, m.rows, make([]float64, len(m.values))}
	for i := range m.rows {
		for j := range m.columns {
			out.values[j*m.rows+i] = m.values[i*m.columns+j]
		}
	}
	return out
}

// relu has gradient 0 at 0, as PyTorch's: of equal operands Max gives it to the first.
func relu(x *graph.Node) *graph.Node { return graph.Max(graph.ScalarZero(x.Graph(), x.DType()), x) }
