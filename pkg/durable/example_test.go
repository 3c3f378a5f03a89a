package durable_test

import (
	"fmt"
	"os"
	"path/filepath"

	"rekindle/pkg/durable"
)

// A file is replaced as a whole. While the new one is written, readers and a crash
// meet the old one.
func ExampleCreate() {
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "history.json")
	check(durable.WriteFile(path, []byte("epoch 1")))

	f, err := durable.Create(path)
	check(err)
	defer f.Abort() // does nothing after Commit
	_, err = f.WriteString("epoch 2")
	check(err)
	show(path)
	check(f.Commit())
	show(path)
	// Output:
	// epoch 1
	// epoch 2
}

func show(path string) {
	text, err := os.ReadFile(path)
	check(err)
	fmt.Println(string(text))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
