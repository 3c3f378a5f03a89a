package model

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// PyTorch draws weights and biases of convolutions from ±1/sqrt(fan in), where
// the fan of a transposed convolution [in, out, k, k] is out*k*k; batch norm
// begins with weight 1, bias 0, mean 0, variance 1.
func TestFreshNetworksBeginAsPyTorchs(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
	}{{"unet", Options{Features: 8, Bilinear: true}}, {"unet", Options{Features: 8, Bilinear: false}}, {"unet_residual", Options{Features: 8, Bilinear: false}}, {"attention_unet", Options{Features: 8, Bilinear: true}}} {
		net, err := New(c.name, c.o)
		if err != nil {
			t.Fatal(err)
		}
		values := net.Init(1)
		shapes := map[string][]int{}
		for _, e := range net.Entries() {
			shapes[e.Name] = e.Shape
		}
		for name, v := range values {
			shape := shapes[name]
			weight := strings.TrimSuffix(name, ".bias") + ".weight"
			if kernel := shapes[weight]; strings.HasSuffix(name, ".bias") && len(kernel) == 4 {
				shape = kernel
			}
			if len(shape) != 4 {
				want := float32(0)
				if strings.HasSuffix(name, ".weight") || strings.HasSuffix(name, ".running_var") {
					want = 1
				}
				if i := slices.IndexFunc(v, func(x float32) bool { return x != want }); i >= 0 {
					t.Errorf("%s: %s[%d] is %g, want %g", c.name, name, i, v[i], want)
				}
				continue
			}
			bound := 1 / math.Sqrt(float64(shape[1]*shape[2]*shape[3]))
			sum, squares, largest := 0.0, 0.0, 0.0
			for _, x := range v {
				sum += float64(x)
				squares += float64(x) * float64(x)
				largest = math.Max(largest, math.Abs(float64(x)))
			}
			n := float64(len(v))
			if largest > bound {
				t.Errorf("%s: %s reaches %g, beyond %g", c.name, name, largest, bound)
			}
			// Of a uniform distribution the mean is 0 and the variance bound²/3; five standard errors are allowed.
			if n > 200 && (math.Abs(sum/n) > 5*bound/math.Sqrt(3*n) || math.Abs(squares/n/(bound*bound/3)-1) > 5*math.Sqrt(0.8/n)) {
				t.Errorf("%s: %s has mean %g and variance %g, want about 0 and %g", c.name, name, sum/n, squares/n, bound*bound/3)
			}
		}
		again, other := net.Init(1), net.Init(2)
		if name := "outc.conv.weight"; c.name == "unet" && (!slices.Equal(again[name], values[name]) || slices.Equal(other[name], values[name])) {
			t.Errorf("%s: the first weights do not depend on the seed alone", c.name)
		}
	}
}

func TestUnknownNetworksAreRefusedWithTheNamesThereAre(t *testing.T) {
	if _, err := New("resnet", Options{Features: 8, Bilinear: true}); err == nil || !strings.Contains(err.Error(), "attention_unet") {
		t.Errorf("got %v, want an error that lists the networks", err)
	}
	if _, err := New("unet", Options{Features: 0, Bilinear: true}); err == nil {
		t.Error("a network without features was made")
	}
}
