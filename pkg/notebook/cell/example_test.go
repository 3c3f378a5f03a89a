package cell_test

import (
	"errors"
	"fmt"
	"os"

	"rekindle/pkg/notebook/cell"
)

// What one cell keeps, those below it find, although each is a program of its own.
func ExampleKept() {
	dir, err := os.MkdirTemp("", "kernel") // GoNB makes a folder for each kernel
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	os.Setenv("GONB_TMP_DIR", dir)
	defer os.Unsetenv("GONB_TMP_DIR")

	batch := cell.Keep[int]("batch.json")
	if _, err := batch.Load(); errors.Is(err, cell.ErrNotKept) {
		fmt.Println("no cell has said")
	}
	if err := batch.Save(8); err != nil {
		panic(err)
	}
	below := cell.Keep[int]("batch.json") // of another program
	fmt.Println(below.Load())
	// Output:
	// no cell has said
	// 8 <nil>
}
