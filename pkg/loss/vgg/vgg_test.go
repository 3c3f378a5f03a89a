package vgg

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"rekindle/pkg/checkpoint/pth"
)

const (
	small    = "../testdata/vgg_small.pth"
	smallToo = "../testdata/vgg_small.safetensors"
)

func TestBothFormatsHoldTheSameWeights(t *testing.T) {
	a, err := Open(small)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(smallToo)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Error("the two files differ")
	}
	in := 3
	for i, out := range []int{4, 4, 6, 6, 8, 8, 8} { // of perceptual.py
		if c := a[i]; c.In != in || c.Out != out || len(c.Weight) != 9*in*out || len(c.Bias) != out {
			t.Errorf("convolution %d: %d to %d channels, want %d to %d", i, c.In, c.Out, in, out)
		}
		in = out
	}
}

// save writes a state_dict with something changed.
func save(t *testing.T, change func(d *pth.Dict)) string {
	t.Helper()
	f, err := pth.Open(small)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := pth.NewOrderedDict()
	for name, v := range f.Root.(*pth.Dict).All() {
		d.Set(name, v)
	}
	change(d)
	path := filepath.Join(t.TempDir(), "weights.pth")
	if err := pth.Save(path, d); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAFileThatWillNotDoSaysWhichWould(t *testing.T) {
	write := func(content string) string {
		path := filepath.Join(t.TempDir(), "weights.pth")
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	zeros := func(shape ...int) *pth.Tensor {
		n := 1
		for _, d := range shape {
			n *= d
		}
		return pth.FromFloat32(make([]float32, n), shape...)
	}
	for name, c := range map[string]struct {
		path string
		want []string
	}{
		"no file":     {filepath.Join(t.TempDir(), "none.pth"), []string{"there is no file", "none.pth", Source}},
		"a folder":    {t.TempDir(), []string{"folder"}},
		"a picture":   {write("\x89PNG\r\n\x1a\n and so on"), []string{"PNG"}},
		"cut off":     {write("\x80\x02\x8a"), []string{"weights.pth"}},
		"VGG19":       {save(t, func(d *pth.Dict) { d.Set("features.16.weight", zeros(8, 8, 3, 3)) }), []string{"VGG19", "VGG16", Source}},
		"no weight":   {save(t, func(d *pth.Dict) { d.Set("features.10.weight", "none") }), []string{"features.10.weight is missing", Source}},
		"batch norm":  {save(t, func(d *pth.Dict) { d.Set("features.2.weight", zeros(4)) }), []string{"features.2.weight has shape [4]", Source}},
		"other input": {save(t, func(d *pth.Dict) { d.Set("features.0.weight", zeros(4, 1, 3, 3)) }), []string{"[4 1 3 3]", "want [… 3 3 3]"}},
		"other bias":  {save(t, func(d *pth.Dict) { d.Set("features.5.bias", zeros(5)) }), []string{"features.5.bias"}},
		"whole numbers": {save(t, func(d *pth.Dict) {
			d.Set("features.0.bias", pth.FromInt64(make([]int64, 4), 4))
		}), []string{"int64"}},
		"not a number": {save(t, func(d *pth.Dict) {
			d.Set("features.0.bias", pth.FromFloat32([]float32{0, 0, 0, float32(math.NaN())}, 4))
		}), []string{"no number"}},
	} {
		_, err := Open(c.path)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, want %q in it", name, err, want)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %q, want one line", name, err)
		}
	}
}
