package weights_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rekindle/pkg/checkpoint/pth"
	"rekindle/pkg/checkpoint/weights"
)

// Weights are found wherever a training program has put them, and must fit the
// network that they are for.
func Example() {
	path, remove := ofAStranger()
	defer remove()
	w, err := weights.Open(path)
	check(err)
	fmt.Printf("in %q, without %q\n", w.Key, w.Prefix)
	fitting, err := w.Fit([]weights.Want{{Name: "conv.weight", Shape: []int{1, 1, 2, 2}}, {Name: "conv.bias", Shape: []int{1}}})
	check(err)
	fmt.Println(fitting[0].Values, fitting[1].Values)

	_, err = w.Fit([]weights.Want{{Name: "conv.weight", Shape: []int{8, 1, 2, 2}}, {Name: "out.bias", Shape: []int{1}}})
	var misfit *weights.Misfit
	if errors.As(err, &misfit) {
		fmt.Printf("missing %v, in another shape %v, too many %v\n", misfit.Missing, misfit.Misshapen, misfit.Unneeded)
	}
	// Output:
	// in "params_ema", without "module."
	// [1 2 3 4] [5]
	// missing [out.bias], in another shape [conv.weight is [1 1 2 2], want [8 1 2 2]], too many [conv.bias]
}

// ofAStranger is a file as another program might leave it.
func ofAStranger() (path string, remove func()) {
	dir, err := os.MkdirTemp("", "")
	check(err)
	model, root := pth.NewOrderedDict(), pth.NewDict()
	model.Set("module.conv.weight", pth.FromFloat32([]float32{1, 2, 3, 4}, 1, 1, 2, 2))
	model.Set("module.conv.bias", pth.FromFloat32([]float32{5}, 1))
	root.Set("params_ema", model)
	path = filepath.Join(dir, "net_g_latest.pth")
	check(pth.Save(path, root))
	return path, func() { os.RemoveAll(dir) }
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
