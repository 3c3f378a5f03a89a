package rgb_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"rekindle/pkg/rgb"
)

// A picture goes through the value range of networks and comes back unchanged.
func Example() {
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "photo.png")
	photo := rgb.New(4, 1)
	copy(photo.Pix, []uint8{0, 100, 255, 1, 101, 254}) // two pixels: red, green, blue, red, green, blue
	check(photo.SavePNG(path))

	im, err := rgb.Load(path)
	check(err)
	planes := make([]float32, 3*im.W*im.H)
	im.Planes(planes) // in [-1, 1]; all red values first
	fmt.Println(planes[:2], planes[8:10])
	fmt.Println(slices.Equal(rgb.FromPlanes(planes, im.W, im.H).Pix, photo.Pix))
	// Output:
	// [-1 -0.99215686] [1 0.99215686]
	// true
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
