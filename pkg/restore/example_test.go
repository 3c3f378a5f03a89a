package restore_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"rekindle/pkg/backend"
	"rekindle/pkg/dataset/leaves"
	"rekindle/pkg/model"
	"rekindle/pkg/restore"
)

// A picture of any size is restored in overlapping tiles. Weights come from a
// checkpoint; here they are those of a network that has learnt nothing yet.
func Example() {
	engine, err := backend.Open("go")
	check(err)
	net, err := model.New("unet", model.Options{Features: 2, Bilinear: true})
	check(err)
	r, err := restore.New(engine.Backend, net, net.Init(1))
	check(err)

	degraded := leaves.Image(70, 45, rand.New(rand.NewPCG(1, 1)))
	restored, err := r.RGB(context.Background(), degraded, restore.Options{TileSize: 32, Overlap: 8})
	check(err)
	fmt.Println(restored.W, "x", restored.H)
	// Output: 70 x 45
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
