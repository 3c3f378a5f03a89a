// Package nn holds the layers that restoration networks are made of, as GoMLX
// graph functions with PyTorch's semantics, names and weight layouts.
//
// A layer is a small struct. It lists the tensors it needs (Entries) and writes
// down its forward pass (Forward). A [Scope] binds names to graph nodes; feature
// maps travel between layers as [Map], whose layout belongs to the engine: the
// Go engine and XLA want different ones, and a layer has a lowering for each
// behind the same call.
//
//	conv := nn.Conv3x3{Name: "inc.0", In: 3, Out: 16}
//	y := conv.Forward(scope, scope.Enter(x))
package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
)

// Role says what a tensor is for.
type Role int

const (
	Weight    Role = iota // trained
	Statistic             // batch norm's running mean or variance
	Counter               // num_batches_tracked, kept on the host
)

// Entry is one tensor of a state_dict.
type Entry struct {
	Name  string // PyTorch's
	Shape []int  // PyTorch's layout; empty for a Counter
	Role  Role

	// Initialisation: uniform in ±bound where bound > 0, else the constant.
	bound, constant float64
}

// Init returns the first value of the tensor, as PyTorch's constructors draw
// it. The numbers come from r; a Counter has none.
func (e Entry) Init(r *rand.Rand) []float32 {
	if e.Role == Counter {
		return nil
	}
	n := 1
	for _, d := range e.Shape {
		n *= d
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(e.constant)
		if e.bound > 0 {
			out[i] = float32(e.bound * (2*r.Float64() - 1))
		}
	}
	return out
}

// uniform is a trained tensor with PyTorch's default for convolutions,
// kaiming_uniform with a = sqrt(5), which is ±1/sqrt(fan_in) for weights and biases.
func uniform(name string, fanIn int, shape ...int) Entry {
	return Entry{Name: name, Shape: shape, bound: 1 / math.Sqrt(float64(fanIn))}
}

// Scope binds names to nodes while a network's forward pass is written down.
type Scope struct {
	graph    *graph.Graph
	training bool
	values   map[string]*graph.Node
	updates  map[string]*graph.Node
	lower    lowering

	recompute bool // blocks on the way back
	tiled     bool

	// Of a batch that is filled up: see Padded. Otherwise nil.
	present *graph.Node // how many images are there, a scalar
	shares  *graph.Node // [n], each image's share in the mean, times n; 0 for padding
}

// NewScope makes a scope for one graph. In training, batch norm uses the
// statistics of the batch and records new running ones; otherwise it uses the
// running ones. values holds every Weight and Statistic by name, in PyTorch's
// layout, float32 or float64.
func NewScope(g *graph.Graph, training bool, values map[string]*graph.Node) *Scope {
	return &Scope{graph: g, training: training, values: values, updates: map[string]*graph.Node{}, lower: loweringFor(g)}
}

// Mixed makes the scope compute convolutions in bfloat16, as PyTorch's autocast
// does; weights, batch-norm statistics and what Leave returns stay float32. On
// the Go engine, which has no quick bfloat16, it changes nothing.
func (s *Scope) Mixed() *Scope {
	if l, ok := s.lower.(native); ok {
		l.mixed = true
		s.lower = l
	}
	return s
}

// Tiled says that the images are tiles of larger ones: Upsample then interpolates
// with align_corners=False. With True, as networks are trained, a map is stretched
// by an amount that depends on its size, so that a place is seen a little shifted,
// by up to half a pixel, as its tile lies; False is the mean of these shifts. So
// tiles of any size see the same, and are as good: with a network trained on
// patches of 64, twelve photographs of CBSD68 differed by less than 0.01 dB.
func (s *Scope) Tiled() *Scope {
	s.tiled = true
	return s
}

// Padded says which images of the batch are there: mask is [n], 1 for these, 0
// for those that only fill it up. The latter do not count in batch norm's
// statistics, so the others, and the gradients, come out as if they were alone.
// What comes out for padding means nothing and must not enter the loss. At least
// one image must be there.
func (s *Scope) Padded(mask *graph.Node) *Scope {
	s.present = graph.ReduceAllSum(mask)
	s.shares = graph.Mul(mask, graph.Div(graph.Scalar(s.graph, mask.DType(), mask.Shape().Size()), s.present))
	return s
}

// Updates returns the new running statistics after a training forward pass, by name.
func (s *Scope) Updates() map[string]*graph.Node { return s.updates }

// Enter takes images [n, c, h, w] into the engine's layout.
func (s *Scope) Enter(x *graph.Node) Map { return s.lower.enter(x) }

// Leave brings feature maps back to [n, c, h, w].
func (s *Scope) Leave(m Map) *graph.Node { return s.lower.leave(m) }

// value panics on a missing name, as GoMLX does while a graph is built; whoever
// runs the graph turns it into an error.
func (s *Scope) value(name string) *graph.Node {
	v := s.values[name]
	if v == nil {
		panic(fmt.Errorf("nn: no value for %q", name))
	}
	return v
}

// bias of a layer, nil where it has none.
func (s *Scope) bias(layer string, there bool) *graph.Node {
	if !there {
		return nil
	}
	return s.value(layer + ".bias")
}

// Map is a batch of feature maps in the engine's layout.
type Map struct {
	parts    []*graph.Node
	n        int // images
	C, H, W  int
	together bool // Go engine: one part [1, C, n*H*W] instead of shards [m, C, H*W]
}

// lowering is how one engine computes the heavy layers. Maps given together in
// a slice are joined along the channels. Weights have PyTorch's layout.
type lowering interface {
	enter(x *graph.Node) Map
	leave(m Map) *graph.Node
	// conv3x3 pads by the distance of the taps, which is 1 unless it is dilated; bias may be nil.
	conv3x3(xs []Map, w, bias *graph.Node, relu bool, distance int) Map
	// depthwise3x3 convolves each channel by itself: w is [C, 1, 3, 3], bias [C].
	depthwise3x3(x Map, w, bias *graph.Node) Map
	// conv1x1 takes a bias that may be nil, as transpose2x2 does.
	conv1x1(x Map, w, bias *graph.Node) Map
	// normalize is batch norm with the batch's own statistics. shares is nil
	// where all images count, see Scope.
	normalize(x Map, shares, gamma, beta *graph.Node, relu bool) (y Map, mean, variance *graph.Node)
	// layerNorm is [LayerNorm].
	layerNorm(x Map, gamma, beta *graph.Node) Map
	// affine is scale and shift per channel.
	affine(x Map, scale, shift *graph.Node, relu bool) Map
	maxPool(x Map) Map
	// unshuffle and shuffle are [PixelUnshuffle] and [PixelShuffle].
	unshuffle(x Map) Map
	shuffle(x Map) Map
	// resize multiplies rows by [oh, h] and columns by [ow, w].
	resize(x Map, rows, columns matrix) Map
	pad(x Map, left, right, top, bottom int) Map
	// window is a part of each map.
	window(x Map, top, left, h, w int) Map
	// transpose2x2 is a transposed convolution with kernel 2 and stride 2.
	transpose2x2(x Map, w, bias *graph.Node) Map
	// transpose4x4 is one with kernel 4, stride 2 and padding 1.
	transpose4x4(x Map, w, bias *graph.Node) Map
	// zip applies an element-wise function to maps of one shape.
	zip(f func(nodes ...*graph.Node) *graph.Node, xs ...Map) Map
	// spread repeats a map of one channel c times.
	spread(x Map, c int) Map
	// channels are some of them.
	channels(x Map, from, to int) Map
	// mean is that of each channel of each image, a map of 1x1; fill repeats such a
	// map over h by w.
	mean(x Map) Map
	fill(x Map, h, w int) Map
}

// loweringFor chooses by what the engine is: XLA has compiled convolutions, the
// Go engine is quick at matrix products only.
func loweringFor(g *graph.Graph) lowering {
	if g.Backend().Name() == "xla" || forceNative {
		return native{processor: !strings.Contains(strings.ToLower(g.Backend().Description()), "cuda")}
	}
	return products{}
}

// forceNative lets tests compare the lowerings on one engine.
var forceNative = false
