package nn

import "github.com/gomlx/gomlx/core/graph"

// PyTorch's defaults for BatchNorm2d.
const (
	batchNormMomentum = 0.1
	batchNormEpsilon  = 1e-5
)

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
		return s.lower.Affine(x, scale, shift, relu)
	}
	y, mean, variance := s.lower.BatchNorm(x, s.shares, gamma, beta, batchNormEpsilon, relu)
	// The batch is normalised by its biased variance; the unbiased one goes
	// into the running average. A batch of one value a channel has no unbiased
	// variance: the running one then stays.
	s.track(b.Name+".running_mean", mean, 1)
	variances := b.Name + ".running_var"
	if s.present != nil {
		s.trackPadded(variances, variance, x.H*x.W)
	} else if count := float64(x.N * x.H * x.W); count > 1 {
		s.track(variances, variance, count/(count-1))
	} else {
		s.updates[variances] = s.value(variances)
	}
	return y
}

func (s *Scope) track(name string, batch *graph.Node, factor float64) {
	old := s.value(name)
	s.updates[name] = graph.Add(graph.MulScalar(old, 1-batchNormMomentum), graph.MulScalar(graph.StopGradient(batch), batchNormMomentum*factor))
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
	scale = graph.Div(s.value(b.Name+".weight"), graph.Sqrt(graph.AddScalar(variance, batchNormEpsilon)))
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
	return s.lower.Conv3x3(xs, w, shift, true, max(c.Conv.Dilation, 1))
}

// layerNormEpsilon is that of NAFNet's LayerNorm2d.
const layerNormEpsilon = 1e-6

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
	return s.lower.LayerNorm(x, s.value(l.Name+".weight"), s.value(l.Name+".bias"), layerNormEpsilon)
}
