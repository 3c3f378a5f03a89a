package dataset_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"rekindle/pkg/dataset"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
)

// Which patch comes when depends on seed, epoch and index, whatever was asked for before.
func ExampleSampler_Patch() {
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)
	clean, noisy := filepath.Join(dir, "clean"), filepath.Join(dir, "noisy")
	check(deadleaves.Folder(context.Background(), clean, 2, 48, 48, 1, nil))
	_, err = degrade.Folder(context.Background(), clean, noisy, degrade.Gaussian{Sigma: 50}, 1, nil)
	check(err)

	set, err := dataset.Open(noisy, clean, 16, func(why string) { fmt.Println(why) })
	check(err)
	patches := set.Train(16, 10, 42)
	fmt.Println(patches.Len(), "patches an epoch")
	patch := func(epoch, index int) (degraded []float32) {
		degraded, clean := make([]float32, 3*16*16), make([]float32, 3*16*16)
		_, err := patches.Patch(epoch, index, degraded, clean)
		check(err)
		return degraded
	}
	a := patch(3, 7)
	fmt.Println(slices.Equal(a, patch(4, 7)), slices.Equal(a, patch(3, 7)))
	// Output:
	// 20 patches an epoch
	// false true
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
