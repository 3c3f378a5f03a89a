package model

import (
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/nn"
)

func TestNetworksAreRecognisedByTheirTensors(t *testing.T) {
	for _, name := range Names() {
		for _, o := range []Options{{Features: 6, Bilinear: true}, {Features: 6}, {Features: 5, Channels: 1}, {Features: 4, Depth: 7}} {
			for _, counters := range []bool{true, false} {
				net, err := New(name, o)
				if err != nil && o.Channels == 1 {
					continue // it knows colour alone
				}
				if err != nil {
					t.Fatal(err)
				}
				bilinear := net.Options.Bilinear
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
					t.Errorf("%s, %+v, is recognised as %q, want %q", name, net.Options, got, want)
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

func TestOptionsThatANetworkDoesNotLookAtAreLeftOut(t *testing.T) {
	for name, want := range map[string]Options{
		"unet":         {Features: 4, Bilinear: true, Channels: 3},
		"shuffle_unet": {Features: 4, Channels: 3},
		"dncnn":        {Features: 4, Channels: 3, Depth: 9},
		"ffdnet":       {Features: 4, Channels: 3, Depth: 9},
	} {
		net, err := New(name, Options{Features: 4, Bilinear: true, Depth: 9})
		if err != nil || net.Options != want {
			t.Errorf("%s has the options %+v (%v), want %+v", name, net.Options, err, want)
		}
	}
	if _, err := New("unet", Options{Features: 4, Channels: 1}); err == nil || !strings.Contains(err.Error(), "pictures of 3 channels, not of 1") {
		t.Errorf("a U-Net for grey pictures: %v", err)
	}
	if _, err := New("dncnn", Options{Features: 4, Channels: 2}); err == nil {
		t.Error("a network for two channels was made")
	}
}

func TestTheNearestNetworkIsNamed(t *testing.T) {
	net, err := New("dncnn", Options{Features: 64, Depth: 17, Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	shapes := map[string][]int{}
	for _, e := range net.Entries() {
		shapes[e.Name] = e.Shape
	}
	if got := Guess(shapes); got != "they are those of dncnn ("+net.Shape()+")" {
		t.Errorf("its own tensors: %s", got)
	}
	gone := net.Entries()[3].Name
	delete(shapes, gone)
	shapes["more.weight"] = []int{1}
	got := Guess(shapes)
	for _, want := range []string{"nearest is dncnn (64 features", gone + " is missing", "there is no more.weight in it"} {
		if !strings.Contains(got, want) {
			t.Errorf("one tensor less and one more: %q does not say %q", got, want)
		}
	}
	if got := Guess(map[string][]int{"a": {1}, "b": {2, 3}}); got != "" {
		t.Errorf("tensors that nobody knows: %s", got)
	}
}
