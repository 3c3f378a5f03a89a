package model

import (
	"fmt"
	"slices"
	"testing"
)

// FuzzRecognise: tensors of any names and shapes are those of a network or of none.
func FuzzRecognise(f *testing.F) {
	for i := range Names() {
		f.Add(byte(i), byte(2), "", []byte{})
		f.Add(byte(i), byte(0), "model.9999.weight", []byte{0, 0, 0, 0, 1, 1, 2, 255, 3})
	}
	f.Fuzz(func(t *testing.T, which, features byte, added string, edits []byte) {
		name := Names()[int(which)%len(Names())]
		net, err := New(name, Options{Features: 1 + int(features)%8})
		if err != nil {
			t.Skip()
		}
		shapes := map[string][]int{}
		var names []string
		for _, e := range net.Entries() {
			shapes[e.Name], names = slices.Clone(e.Shape), append(names, e.Name)
		}
		for e := range slices.Chunk(edits, 4) { // of which tensor, which side, what; 255 takes the tensor away
			if len(e) < 4 {
				break
			}
			shape := shapes[names[(int(e[0])|int(e[3])<<8)%len(names)]]
			switch {
			case e[1] == 255:
				delete(shapes, names[int(e[0])%len(names)])
			case e[1] == 254:
				shapes[added] = shape
			case e[1] == 253:
				shapes[fmt.Sprint(added, e[2])] = []int{int(e[2]), int(e[3])}
			case len(shape) > 0:
				shape[int(e[1])%len(shape)] = int(int8(e[2])) << (e[3] % 24)
			}
		}
		for _, found := range Recognise(shapes) {
			for _, e := range found.Entries() {
				if shape, ok := shapes[e.Name]; ok && !slices.Equal(shape, e.Shape) {
					t.Fatalf("%s is found, whose %s is %v and not %v", found.Name, e.Name, e.Shape, shape)
				}
			}
		}
		Nearest(shapes)
	})
}
