package optim_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/backend"
	"rekindle/pkg/optim"
)

// Two steps towards the minimum of (x-3)². What an optimizer remembers are values that
// go in and come out, and can be saved with the rest.
func Example() {
	engine, err := backend.Open("go")
	check(err)
	o := optim.Default()
	exec, err := graph.NewExec(engine.Backend, func(in []*graph.Node) []*graph.Node {
		x, first, second := in[3], in[4], in[5]
		slope := graph.MulScalar(graph.AddScalar(x, -3), 2)
		xs, firsts, seconds, norm := o.Update([3]*graph.Node(in[:3]), in[3:4], []*graph.Node{slope}, []*graph.Node{first}, []*graph.Node{second})
		return []*graph.Node{xs[0], firsts[0], seconds[0], norm}
	})
	check(err)
	var x, first, second any = []float32{0}, []float32{0}, []float32{0}
	for step := int64(1); step <= 2; step++ {
		s := o.Scalars(step, 0.1)
		out, err := exec.Call(float32(s[0]), float32(s[1]), float32(s[2]), x, first, second)
		check(err)
		fmt.Printf("x %.3f, norm %.3f\n", out[0].Value(), out[3].Value())
		x, first, second = out[0], out[1], out[2]
	}
	// Output:
	// x [0.100], norm 6.000
	// x [0.200], norm 5.800
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
