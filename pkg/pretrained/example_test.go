package pretrained_test

import (
	"bytes"
	"fmt"

	"rekindle/pkg/checkpoint/weights"
	"rekindle/pkg/pretrained"
)

// The file says what network it is. To restore pictures with it, give
// restore.Pretrained to restore.Open.
func Example() {
	w, err := weights.Read("blind", bytes.NewReader(pretrained.Blind), int64(len(pretrained.Blind)))
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s of %s features, for noise of %s\n", w.Metadata["model"], w.Metadata["features"], w.Metadata["noise_levels"])
	fmt.Println(len(w.Tensors), "tensors, the first:", w.Tensors[0].Name, w.Tensors[0].Shape)
	// Output:
	// shuffle_unet of 48 features, for noise of 0-55
	// 52 tensors, the first: entry.weight [48 12 3 3]
}
