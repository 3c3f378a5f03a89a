package model

import (
	"slices"
	"testing"

	"rekindle/pkg/nn"
)

func TestNetworksAreRecognisedByTheirTensors(t *testing.T) {
	for _, name := range Names() {
		for _, bilinear := range []bool{true, false} {
			for _, counters := range []bool{true, false} {
				net, err := New(name, Options{Features: 6, Bilinear: bilinear})
				if err != nil {
					t.Fatal(err)
				}
				shapes := map[string][]int{}
				for _, e := range net.Entries() {
					if counters || e.Role != nn.Counter {
						shapes[e.Name] = e.Shape
					}
				}
				want := []string{name}
				if bilinear && (name == "unet" || name == "unet_residual") {
					want = []string{"unet", "unet_residual"} // nothing but their use tells them apart
				}
				var got []string
				for _, n := range Recognise(shapes) {
					if n.Options != net.Options {
						t.Errorf("%s with %+v is taken for one with %+v", name, net.Options, n.Options)
					}
					got = append(got, n.Name)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s, bilinear %v, is recognised as %q, want %q", name, bilinear, got, want)
				}
				shapes["more.weight"] = []int{1}
				if got := Recognise(shapes); len(got) != 0 {
					t.Errorf("%s with a tensor more is still recognised as %s", name, got[0].Name)
				}
				delete(shapes, "more.weight")
				delete(shapes, net.Entries()[3].Name)
				if got := Recognise(shapes); len(got) != 0 {
					t.Errorf("%s without a tensor is still recognised as %s", name, got[0].Name)
				}
			}
		}
	}
	if got := Recognise(map[string][]int{"model.0.weight": {64, 3, 3, 3}}); got != nil {
		t.Errorf("another network is recognised as %s", got[0].Name)
	}
}
