// Package nn holds the layers that restoration networks are made of, as GoMLX
// graph functions with PyTorch's semantics, names and weight layouts.
//
// A layer is a small struct. It lists the tensors it needs (Entries) and writes
// down its forward pass (Forward). A [Scope] binds names to graph nodes; feature
// maps travel between layers as [Map], whose layout belongs to the engine: the
// Go engine and XLA want different ones. How each computes the operations of layers
// is said in packages im2col and native, behind the one interface of package lowering.
//
//	conv := nn.Conv3x3{Name: "inc.0", In: 3, Out: 16}
//	y := conv.Forward(scope, scope.Enter(x))
package nn

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn/im2col"
	"rekindle/pkg/nn/lowering"
	"rekindle/pkg/nn/native"
)

// Scope binds names to nodes while a network's forward pass is written down.
type Scope struct {
	graph    *graph.Graph
	training bool
	values   map[string]*graph.Node
	updates  map[string]*graph.Node
	lower    lowering.Interface
	tiled    bool

	// Of a batch that is filled up: see Padded. Otherwise nil.
	present *graph.Node // how many images are there, a scalar
	shares  *graph.Node // [n], each image's share in the mean, times n; 0 for padding
}

// Map is a batch of feature maps in the engine's layout.
type Map = lowering.Map

// NewScope makes a scope for one graph. In training, batch norm uses the
// statistics of the batch and records new running ones; otherwise it uses the
// running ones. values holds every Weight and Statistic by name, in PyTorch's
// layout, float32 or float64.
func NewScope(g *graph.Graph, training bool, values map[string]*graph.Node) *Scope {
	return &Scope{graph: g, training: training, values: values, updates: map[string]*graph.Node{}, lower: loweringFor(g)}
}

// loweringFor chooses by what the engine is: XLA has compiled convolutions, the
// Go engine is quick at matrix products only.
func loweringFor(g *graph.Graph) lowering.Interface {
	if g.Backend().Name() == "xla" {
		return native.For(g)
	}
	return im2col.Lowering{}
}

// Mixed makes the scope compute convolutions in bfloat16, as PyTorch's autocast
// does; weights, batch-norm statistics and what Leave returns stay float32. On
// the Go engine, which has no quick bfloat16, it changes nothing.
func (s *Scope) Mixed() *Scope {
	s.lower = s.lower.Mixed()
	return s
}

// Recomputing makes [Scope.Block] take effect: only the maps at the borders of
// blocks are kept for the way back, and what lies between is computed once more from
// them (Chen et al., "Training deep nets with sublinear memory cost", 2016): less
// memory for about a third more time. It is for XLA. On the Go engine the gradients
// written by hand hold on to the maps that they need, so nothing would be saved, and
// it does nothing.
func (s *Scope) Recomputing() *Scope {
	s.lower = s.lower.Recomputing()
	return s
}

// Block writes down a part of the network of which only in- and output are kept
// for the way back.
func (s *Scope) Block(f func(xs ...Map) Map, xs ...Map) Map { return s.lower.Block(f, xs...) }

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
func (s *Scope) Enter(x *graph.Node) Map { return s.lower.Enter(x) }

// Leave brings feature maps back to [n, c, h, w].
func (s *Scope) Leave(m Map) *graph.Node { return s.lower.Leave(m) }

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
