package export_test

import (
	"fmt"
	"os"
	"path/filepath"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/checkpoint/safetensors"
	"rekindle/pkg/config"
	"rekindle/pkg/export"
	"rekindle/pkg/model"
)

// A network for other programs. checkpoint.Load gives the State of one that was
// trained; this one has learnt nothing.
func Example() {
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)
	state := untrained()
	check(export.ONNX(state, filepath.Join(dir, "net.onnx")))
	path := filepath.Join(dir, "net.safetensors")
	check(export.Safetensors(state, path))
	f, err := safetensors.Open(path)
	check(err)
	defer f.Close()
	fmt.Println(f.Metadata["model"], f.Metadata["features"], f.Metadata["degradation"], f.Metadata["strength"], f.Metadata["trained"])
	fmt.Println(len(f.Names()), "tensors, as many as the network has:", len(state.Model))
	// Output:
	// unet 2 gaussian sigma_100 false
	// 110 tensors, as many as the network has: 110
}

func untrained() *checkpoint.State {
	state := &checkpoint.State{Config: config.Default()}
	state.Config.ModelFeatures = 2
	net, err := model.New(state.Config.Model, model.OptionsOf(state.Config))
	check(err)
	values := net.Init(1)
	for _, e := range net.Entries() {
		state.Model = append(state.Model, checkpoint.Tensor{Name: e.Name, Shape: e.Shape, Values: values[e.Name]})
	}
	return state
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
