package ipynb

import (
	"os"
	"path/filepath"
	"testing"

	"rekindle/pkg/internal/allocation"
)

// FuzzNotebook: a notebook of any content is refused, or can be summed up, written,
// and read again as the same one.
func FuzzNotebook(f *testing.F) {
	const empty = `{"cells":[],"metadata":{},"nbformat":4,"nbformat_minor":5}`
	f.Add([]byte(empty))
	f.Add([]byte(`{"cells":[{"cell_type":"code","id":"a","execution_count":1,"metadata":{"tags":["parameters"]},"outputs":[{"output_type":"stream","name":"stdout","text":["x\n"]},{"output_type":"display_data","data":{"image/png":"AA=="},"metadata":{}}],"source":["%noautoget\n","x := 1 // \"y"]},{"cell_type":"markdown","id":"b","metadata":{},"source":"# A"}],"metadata":{},"nbformat":4,"nbformat_minor":5}`))
	f.Add([]byte(`{"cells":[{"cell_type":"code","outputs":[null]}],"nbformat":4,"nbformat_minor":5}`))
	f.Add([]byte(`{"cells":[null,{}],"metadata":null,"nbformat":4,"nbformat_minor":5}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "a.ipynb")
		if err := os.WriteFile(path, raw, 0o666); err != nil {
			t.Fatal(err)
		}
		var n *Notebook
		var err error
		var sum string
		allocation.Within(t, len(raw), 600, 1<<19, func() {
			if n, err = Load(path); err == nil {
				sum = n.Sum()
				n.Cell("a")
			}
		})
		if err != nil {
			return
		}
		if err := n.Save(path); err != nil {
			t.Fatal(err)
		}
		defer func() { // what make sync, make notebooks and make check do with it
			WithStored(raw, raw)
			n.Trains()
			_ = n.Sync(n).Store(n)
			n.FormatCells()
			_ = n.Check()
		}()
		again, err := Load(path)
		if err != nil || again.Sum() != sum {
			t.Fatalf("written again it is another one (%v)", err)
		}
	})
}
