package lowering

import "github.com/gomlx/gomlx/core/graph"

// WithGradient wires an operation's forward pass to a backward pass written by hand.
// backward gets the inputs, outputs and the outputs' gradients, zeros for outputs that
// the result does not depend on, and returns a gradient for each input. The automatic
// gradients of forward are written down as well, but nothing uses them, so the engine
// drops them; they must exist, which rules out Pad and Reverse in forward.
func WithGradient(in []*graph.Node, forward func(in []*graph.Node) []*graph.Node, backward func(in, out, dout []*graph.Node) []*graph.Node) []*graph.Node {
	return WithPartialGradient(in, forward, func(in, out, dout []*graph.Node) []*graph.Node {
		for j := range dout {
			if dout[j] == nil {
				dout[j] = graph.ZerosLike(out[j])
			}
		}
		return backward(in, out, dout)
	})
}

// WithPartialGradient is WithGradient with nil instead of zeros.
func WithPartialGradient(in []*graph.Node, forward func(in []*graph.Node) []*graph.Node, backward func(in, out, dout []*graph.Node) []*graph.Node) []*graph.Node {
	inside := make([]*graph.Node, len(in))
	var out, dout, din []*graph.Node
	for i := range in {
		inside[i] = graph.IdentityWithCustomGradient(in[i], func(_, _ *graph.Node) *graph.Node {
			if din == nil {
				din = backward(inside, out, dout)
			}
			return din[i]
		})
	}
	out = forward(inside)
	dout = make([]*graph.Node, len(out))
	for i := range out {
		out[i] = graph.IdentityWithCustomGradient(out[i], func(_, v *graph.Node) *graph.Node {
			if din != nil { // the way back meets outputs first: somebody differentiates the same graph once more
				din = nil
				clear(dout)
			}
			dout[i] = v
			return v
		})
	}
	return out
}
