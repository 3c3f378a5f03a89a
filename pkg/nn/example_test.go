package nn_test

import (
	"fmt"
	"log"

	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/backend"
	"rekindle/pkg/nn"
)

// A layer lists its tensors, and writes itself into a graph.
func Example() {
	engine, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	conv := nn.Conv3x3{Name: "inc.0", In: 1, Out: 1, Bias: true}
	for _, e := range conv.Entries() {
		fmt.Println(e.Name, e.Shape)
	}
	exec, err := graph.NewExec(engine.Backend, func(x, weight, bias *graph.Node) *graph.Node {
		s := nn.NewScope(x.Graph(), false, map[string]*graph.Node{"inc.0.weight": weight, "inc.0.bias": bias})
		return s.Leave(nn.MaxPool(s, conv.ReLU(s, s.Enter(x))))
	})
	if err != nil {
		log.Fatal(err)
	}
	ones := [][][][]float32{{{{1, 1, 1, 1}, {1, 1, 1, 1}}}} // an image of 2x4, one channel
	box := [][][][]float32{{{{1, 1, 1}, {1, 1, 1}, {1, 1, 1}}}}
	out, err := exec.Call(ones, box, []float32{-2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out[0])
	// Output:
	// inc.0.weight [1 1 3 3]
	// inc.0.bias [1]
	// [1][1][1][2]float32{{{{4, 4}}}}
}
