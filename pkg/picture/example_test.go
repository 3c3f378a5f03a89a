package picture_test

import (
	"fmt"
	"image"
	"os"
	"path/filepath"

	"rekindle/pkg/picture"
)

// A scan of 16 bits becomes a JPEG row by row, and the writer says what is lost.
func Example() {
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)
	scan := filepath.Join(dir, "scan.tif")
	check(convert(picture.Of(image.NewGray16(image.Rect(0, 0, 40, 30))), scan))

	in, err := picture.Open(scan)
	check(err)
	defer in.Close()
	fmt.Println(in.Format, in.W, in.H, in.Channels(), in.Deep)
	check(convert(in, filepath.Join(dir, "scan.jpg")))
	// Output:
	// scan.tif loses ""
	// tiff 40 30 1 true
	// scan.jpg loses "16 bits became 8"
}

func convert(in *picture.Reader, path string) error {
	out, err := picture.Create(path, in.Info)
	if err != nil {
		return err
	}
	defer out.Abort()
	fmt.Printf("%s loses %q\n", filepath.Base(path), out.Lost)
	row := make([]uint16, in.W*in.Channels())
	for range in.H {
		if err := in.Read(row); err != nil {
			return err
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	return out.Commit(false) // an older file of that name is kept, and an error
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
