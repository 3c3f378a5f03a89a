package restore

import (
	"context"
	"image"
	"math/rand/v2"
	"slices"
	"testing"

	"rekindle/pkg/model"
	"rekindle/pkg/picture"
)

// What a network makes of a place depends on what lies near it, so that tiles which
// share enough give what one tile gives. How much is enough docs/restore.md says.
func TestNetworksSeeNoFartherThanTheDocumentsSay(t *testing.T) {
	takesMeans := []string{"nafnet", "ridnet"} // over a whole tile
	sees := map[string]int{"drunet": 185}
	const w, h = 416, 16 // and a frame of 16 pixels: one tile of 448
	noise := rand.New(rand.NewPCG(1, 1))
	im := image.NewRGBA64(image.Rect(0, 0, w, h))
	for i := range im.Pix {
		if im.Pix[i] = uint8(noise.Uint32()); i%8 >= 6 {
			im.Pix[i] = 0xFF
		}
	}
	other := image.NewRGBA64(im.Rect)
	copy(other.Pix, im.Pix)
	for y := range h { // its first column is another
		for c := range 6 {
			other.Pix[y*other.Stride+c] ^= 0xFF
		}
	}
	for _, name := range model.Names() {
		if slices.Contains(takesMeans, name) {
			continue
		}
		depth := 3 // of a stack of fresh layers more would let nothing through
		if name == "drunet" {
			depth = 0 // as published: it is what sees farthest
		}
		net, err := model.New(name, model.Options{Features: 4, Depth: depth, Bilinear: true})
		if err != nil {
			t.Fatal(err)
		}
		r, err := New(engine(t), net, net.Init(1))
		if err != nil {
			t.Fatal(err)
		}
		if r.TakesLevel() {
			if r, err = r.At(25); err != nil {
				t.Fatal(err)
			}
		}
		restored := func(im image.Image) (out []uint16) {
			in := picture.Of(im)
			write := func(rows []uint16) error { out = append(out, rows...); return nil }
			if err := r.Rows(context.Background(), in.Info, in.Read, write, Tiles{Size: 448}, nil); err != nil {
				t.Fatal(err)
			}
			return out
		}
		one, two := restored(im), restored(other)
		farthest := -1
		for i := range one {
			if one[i] != two[i] {
				farthest = max(farthest, i/3%w)
			}
		}
		most := ReceptiveMargin
		if m, ok := sees[name]; ok {
			most = m
		}
		t.Logf("%s: a change is seen %d pixels away", name, farthest)
		if farthest < 1 || farthest > most {
			t.Errorf("%s: a change is seen %d pixels away, want more than none and at most %d", name, farthest, most)
		}
	}
}
