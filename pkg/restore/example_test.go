package restore_test

import (
	"context"
	"fmt"
	"image"
	"os"
	"path/filepath"

	"rekindle/pkg/checkpoint/safetensors"
	"rekindle/pkg/model"
	"rekindle/pkg/restore"
)

// A picture of Go's image package, of any size and kind, is restored with the
// network that a file holds. The Restorer can be shared, by the requests to a web
// server for instance.
func Example() {
	path := weights()
	defer os.RemoveAll(filepath.Dir(path))
	r, err := restore.Open(path)
	check(err)
	fmt.Println(r.About.Network, r.About.Options.Features)

	photo := image.NewGray16(image.Rect(0, 0, 70, 45))
	restored, err := r.Image(context.Background(), photo)
	check(err)
	fmt.Printf("%T %v\n", restored, restored.Bounds())
	// Output:
	// attention_unet 2
	// *image.Gray16 (0,0)-(70,45)
}

// weights is a file as training leaves it; of a network that has learnt nothing yet.
func weights() string {
	net, err := model.New("attention_unet", model.Options{Features: 2, Bilinear: true})
	check(err)
	var items []safetensors.Item
	values := net.Init(1)
	for _, e := range net.Entries() {
		if v, ok := values[e.Name]; ok {
			items = append(items, safetensors.Item{Name: e.Name, Shape: e.Shape, Float32: v})
		}
	}
	dir, err := os.MkdirTemp("", "")
	check(err)
	path := filepath.Join(dir, "net.safetensors")
	check(safetensors.Save(path, items, nil))
	return path
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
