package checkpoint

import (
	"strings"

	"rekindle/pkg/checkpoint/pth"
)

// Weights counts the trained numbers in a checkpoint's network. It looks at
// shapes only, which takes milliseconds.
func Weights(path string) (int, error) {
	entries, err := pth.Inspect(path)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Path, "model_state_dict/")
		if !ok || e.DType == 0 || !(Tensor{Name: name}).IsParameter() {
			continue
		}
		n := 1
		for _, d := range e.Shape {
			n *= d
		}
		total += n
	}
	return total, nil
}
