package derived_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"rekindle/pkg/derived"
	"rekindle/pkg/rgb"
)

// A folder is filled once, and after that only with what is missing or stale.
func ExampleFill() {
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)
	folder := derived.Folder{
		Dir:    dir,
		Recipe: derived.Recipe{Name: "black"},
		Items:  []derived.Item{{Name: "a.png"}, {Name: "b.png"}}, // of copies also what each is a copy of
		Make:   func(_ derived.Item, _ []byte, w io.Writer) error { return rgb.New(8, 8).WritePNG(w) },
	}
	fill := func() {
		made, err := derived.Fill(context.Background(), folder)
		fmt.Println(made, err)
	}
	fill()
	fill() // everything is there
	check(os.Remove(filepath.Join(dir, "a.png")))
	fill() // one is missing
	folder.Recipe.Seed = 1
	fill() // all would be others now
	// Output:
	// 2 <nil>
	// 0 <nil>
	// 1 <nil>
	// 2 <nil>
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
