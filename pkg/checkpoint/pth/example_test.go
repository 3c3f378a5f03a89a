package pth_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"rekindle/pkg/checkpoint/pth"
)

// A state_dict as torch.save writes it, and back.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.pth")

	model := pth.NewOrderedDict()
	model.Set("weight", pth.FromFloat32([]float32{1, 2, 3, 4}, 2, 2))
	model.Set("num_batches_tracked", pth.FromInt64([]int64{12}))
	root := pth.NewDict()
	root.Set("epoch", 3)
	root.Set("model_state_dict", model)
	if err := pth.Save(path, root); err != nil {
		log.Fatal(err)
	}

	entries, err := pth.Inspect(path)
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range entries {
		fmt.Println(e)
	}

	f, err := pth.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	v, _ := f.Root.(*pth.Dict).Get("model_state_dict")
	weight, _ := v.(*pth.Dict).Get("weight")
	numbers, err := weight.(*pth.Tensor).Float32s()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(numbers)
	// Output:
	// epoch: 3
	// model_state_dict/weight: float32 [2 2]
	// model_state_dict/num_batches_tracked: int64 []
	// [1 2 3 4]
}
