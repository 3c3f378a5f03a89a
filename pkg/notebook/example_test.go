package notebook_test

import (
	"fmt"
	"io"
	"os"

	"rekindle/pkg/config"
	"rekindle/pkg/notebook"
	"rekindle/pkg/notebook/cell"
)

// The first cells of a notebook, in a program: what a kernel would keep on disk the
// process remembers.
func Example() {
	defer inAnEmptyFolder()()

	notebook.Configure(func(cfg *config.Config) { cfg.BatchSize = 4 })
	notebook.SkipTraining(false)

	// The next cell has nothing but what was remembered.
	exp := notebook.SetUp(notebook.Settings(), notebook.SkipsTraining())

	// So has any other.
	cfg := notebook.Settings()
	fmt.Println(cfg.BatchSize, notebook.Experiment(cfg).Dir == exp.Dir)
	// Output:
	// 4 true
}

// inAnEmptyFolder is away from this clone's experiments, and from a kernel's memory;
// what the cells print is thrown away.
func inAnEmptyFolder() (back func()) {
	was, err := os.Getwd()
	check(err)
	dir, err := os.MkdirTemp("", "")
	check(err)
	check(os.Chdir(dir))
	check(os.Unsetenv("GONB_TMP_DIR"))
	out := cell.Out
	cell.Out = io.Discard
	return func() {
		cell.Out = out
		check(os.Chdir(was))
		check(os.RemoveAll(dir))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
