package im2col

import (
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// stacked is a matrix [a, b] repeated n times: [n, a, b].
func stacked(m *graph.Node, n int) *graph.Node {
	m = graph.Reshape(m, append([]int{1}, m.Shape().Dimensions...)...)
	if n == 1 {
		return m
	}
	list := make([]*graph.Node, n)
	for i := range list {
		list[i] = m
	}
	return graph.Concatenate(list, 0)
}

// batched is a[n, M, K] b[n, K, N]; batchedT is a[n, M, K] b[n, N, K]; plain is a[M, K] b[K, N].
func batched(a, b *graph.Node) *graph.Node {
	return graph.DotGeneral(a, []int{2}, []int{0}, b, []int{1}, []int{0})
}

func batchedT(a, b *graph.Node) *graph.Node {
	return graph.DotGeneral(a, []int{2}, []int{0}, b, []int{2}, []int{0})
}

func plain(a, b *graph.Node) *graph.Node {
	return graph.DotGeneral(a, []int{1}, nil, b, []int{0}, nil)
}

func overBatch(x *graph.Node) *graph.Node {
	if x.Shape().Dim(0) == 1 {
		return graph.Reshape(x, x.Shape().Dimensions[1:]...)
	}
	return graph.ReduceSum(x, 0)
}

func ones(like *graph.Node, dims ...int) *graph.Node {
	return graph.Ones(like.Graph(), shapes.Make(like.DType(), dims...))
}

// column spreads a value per channel over pixels: [C] -> [n, C, p].
func column(v *graph.Node, n, p int) *graph.Node {
	c := v.Shape().Size()
	v = graph.Reshape(stacked(graph.Reshape(v, c, 1), n), n*c, 1)
	return graph.Reshape(plain(v, ones(v, 1, p)), n, c, p)
}

// channelSums adds up each channel: [n, C, p] -> [C], by a product.
func channelSums(x *graph.Node) *graph.Node {
	p := x.Shape().Dim(2)
	s := graph.DotGeneral(x, []int{2}, nil, ones(x, 1, p), []int{1}, nil)
	return overBatch(graph.Reshape(s, x.Shape().Dim(0), x.Shape().Dim(1)))
}

// channelDots is the sum of a*b in each channel: [C].
func channelDots(a, b *graph.Node) *graph.Node {
	n, c, p := a.Shape().Dim(0), a.Shape().Dim(1), a.Shape().Dim(2)
	s := batchedT(graph.Reshape(a, n*c, 1, p), graph.Reshape(b, n*c, 1, p))
	return overBatch(graph.Reshape(s, n, c))
}

// addOnes adds a channel of ones, which takes a bias into a product.
func addOnes(x *graph.Node) *graph.Node {
	return graph.Concatenate([]*graph.Node{x, ones(x, x.Shape().Dim(0), 1, x.Shape().Dim(2))}, 1)
}
