package step_test

import (
	"fmt"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
	"rekindle/pkg/dataset"
	"rekindle/pkg/loss"
	"rekindle/pkg/model"
	"rekindle/pkg/optim"
	"rekindle/pkg/train/step"
)

// A step makes new arrays and leaves those before it as they were, so that one which
// fails costs nothing.
func ExampleEngine_Advance() {
	on, err := backend.Open("go")
	check(err)
	net, err := model.New("unet", model.Options{Features: 2})
	check(err)
	e, err := step.New(on.Backend, net, loss.Combined{Alpha: 1}, optim.Default(), step.Options{})
	check(err)

	state, values := &checkpoint.State{}, net.Init(1)
	for _, entry := range net.Entries() {
		t := checkpoint.Tensor{Name: entry.Name, Shape: entry.Shape, Values: values[entry.Name]}
		if t.IsParameter() {
			t.First, t.Second = make([]float32, len(t.Values)), make([]float32, len(t.Values))
		}
		state.Model = append(state.Model, t)
	}
	batch := &dataset.Batch{N: 1, Size: 32, Degraded: make([]float32, 3*32*32), Clean: make([]float32, 3*32*32)}
	for i := range batch.Degraded {
		batch.Degraded[i], batch.Clean[i] = 0.5, 0.25
	}

	at := e.Upload(state)
	first, a, err := e.Advance(at, e.Input(batch, 0), 0, 1, 1e-3)
	check(err)
	_, again, err := e.Advance(at, e.Input(batch, 0), 0, 1, 1e-3)
	check(err)
	_, b, err := e.Advance(first, e.Input(batch, 0), 0, 2, 1e-3)
	check(err)
	fmt.Println("the same step again gives the same:", a == again)
	fmt.Println("the next one is better:", b.Loss < a.Loss)
	// Output:
	// the same step again gives the same: true
	// the next one is better: true
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
