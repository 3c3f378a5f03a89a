package ipynb_test

import (
	"fmt"
	"os"
	"path/filepath"

	"rekindle/pkg/notebook/ipynb"
)

// A notebook is made, formatted, saved and loaded. Outputs of an earlier run go on to
// belong to cells that are only written differently.
func Example() {
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "a.ipynb")
	n := &ipynb.Notebook{Format: 4, FormatMinor: 5, Metadata: map[string]any{}, Cells: []*ipynb.Cell{
		{Type: "markdown", ID: "title", Source: "# Sums"},
		{Type: "code", ID: "sum", Source: "%%\nfmt.Println( 1+1 ) // two"},
	}}
	before := n.Sum()
	n.FormatCells()
	check(n.Save(path))

	again, err := ipynb.Load(path)
	check(err)
	sum := again.Cell("sum")
	fmt.Println(sum.Source)
	fmt.Println("another program:", again.Sum() != before)
	sum.Source = "%%\nfmt.Println(1 + 2)"
	fmt.Println("another program:", again.Sum() != before)
	// Output:
	// %%
	// fmt.Println(1 + 1) // two
	// another program: false
	// another program: true
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
