package nn

import (
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// In tiles a map is doubled by PyTorch's align_corners=False, the same at every place.
func TestTilesAreDoubledTheSameEverywhere(t *testing.T) {
	const h, w = 3, 1 // also a side of one
	x := []float32{1, 5, 2}
	// Rows at -0.25, 0.25, 0.75, 1.25, 1.75, 2.25 of the old ones, kept inside.
	column := []float32{1, 2, 4, 4.25, 2.75, 2}
	for how, l := range both {
		exec, err := graph.NewExec(engine(t), func(in []*graph.Node) []*graph.Node {
			s := NewScope(in[0].Graph(), false, nil).Tiled()
			s.lower = l
			return []*graph.Node{s.Leave(Upsample(s, s.Enter(in[0])))}
		})
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Call(tensors.FromFlatDataAndDimensions(x, 1, 1, h, w))
		if err != nil {
			t.Fatal(err)
		}
		got := tensors.MustCopyFlatData[float32](out[0])
		for i, want := range column {
			for j := range 2 * w {
				if d := got[i*2*w+j] - want; d > 1e-6 || d < -1e-6 {
					t.Errorf("%s: row %d, column %d is %g, want %g", how, i, j, got[i*2*w+j], want)
				}
			}
		}
	}
}
