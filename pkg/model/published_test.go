package model

import "testing"

// Numbers of parameters that the authors' networks have.
func TestNetworksAreAsLargeAsPublished(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		want int
	}{
		{"dncnn", Options{Features: 64, Channels: 1}, 556_032},
		{"dncnn_merged", Options{Features: 64}, 668_227},
		{"ffdnet_merged", Options{Features: 64, Channels: 1}, 485_316},
		{"ffdnet_merged", Options{Features: 96}, 852_108},
		{"drunet", Options{Features: 64}, 32_640_960},
		{"nafnet", Options{Features: 32}, 29_159_715},
		{"nafnet", Options{Features: 16}, 7_371_923},
		{"ridnet", Options{Features: 64}, 1_499_347},
	} {
		net, err := New(c.name, c.o)
		if err != nil {
			t.Fatal(err)
		}
		if got := net.NumParams(); got != c.want {
			t.Errorf("%s with %+v has %d parameters, want %d", c.name, net.Options, got, c.want)
		}
	}
}

func TestWhoTakesANoiseLevel(t *testing.T) {
	for name, want := range map[string]bool{"unet": false, "dncnn": false, "ffdnet": true, "ffdnet_merged": true, "drunet": true, "nafnet": false, "ridnet": false} {
		net, err := New(name, Options{Features: 4})
		if err != nil {
			t.Fatal(err)
		}
		if net.TakesSigma() != want {
			t.Errorf("%s takes a noise level: %v, want %v", name, !want, want)
		}
	}
}
