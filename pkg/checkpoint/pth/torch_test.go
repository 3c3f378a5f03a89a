package pth

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/internal/reference"
)

func TestPyTorchLoadsWhatGoWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "go.pth")
	if err := Save(path, sample()); err != nil {
		t.Fatal(err)
	}
	want := `{"small": 5, "word": 300, "long": 1048576, "negative": -7, "huge": 1125899906842624, "tiny": -1125899906842624,
		"float": 0.1, "none": null, "yes": true, "no": false, "text": "grün", "list": [1, [], "x"]}`
	if got := reference.Python(t, "read.py", path, want); got != "ok" {
		t.Errorf("got %q", got)
	}
}

func TestGoLoadsWhatPyTorchWrites(t *testing.T) {
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "zip.pth"), filepath.Join(dir, "legacy.pth")}
	reference.Python(t, "write.py", paths...)
	for _, path := range paths {
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		root := f.Root.(*Dict)
		at := func(d *Dict, key any) any {
			v, ok := d.Get(key)
			if !ok {
				t.Fatalf("%s: no %v", path, key)
			}
			return v
		}
		floats := func(v any) []float32 {
			x, err := v.(*Tensor).Float32s()
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		shared := at(root, "shared").(List)
		if got := floats(shared[1]); !slices.Equal(got, []float32{6, 8, 10, 12, 14, 16}) {
			t.Errorf("%s: a strided view reads %v", path, got)
		}
		if got := floats(shared[2]); !slices.Equal(got[:5], []float32{0, 6, 12, 18, 1}) {
			t.Errorf("%s: a transposed view reads %v", path, got)
		}
		if got := floats(at(at(root, "state").(*Dict), "a")); len(got) != 12 || got[11] != 11 {
			t.Errorf("%s: a parameter reads %v", path, got)
		}
		for name, v := range at(root, "dtypes").(*Dict).All() {
			if strings.Contains(name.(string), "float") {
				if got := floats(v); !slices.Equal(got, []float32{-2, 0, 1, 3}) {
					t.Errorf("%s: %v reads %v", path, name, got)
				}
			} else if got, err := v.(*Tensor).Int64s(); err != nil || !slices.Equal(got, []int64{-2, 0, 1, 3}) {
				t.Errorf("%s: %v reads %v, %v", path, name, got, err)
			}
		}
		if got, _ := at(root, "bytes").(*Tensor).Int64s(); !slices.Equal(got, []int64{0, 200, 255}) {
			t.Errorf("%s: bytes read %v", path, got)
		}
		if got, _ := at(root, "bools").(*Tensor).Int64s(); !slices.Equal(got, []int64{1, 0}) {
			t.Errorf("%s: booleans read %v", path, got)
		}
		if got := floats(at(root, "half")); got[0] != 5.9604645e-08 || got[1] != 65504 || !math.IsInf(float64(got[2]), 1) || got[3] != -0.099975586 {
			t.Errorf("%s: half precision reads %v", path, got)
		}
		want := List{int64(0), int64(255), int64(256), int64(65536), int64(-1), int64(-1 << 31), int64(1 << 40), int64(-1 << 40), 0.1, math.Inf(1)}
		if got := at(root, "numbers").(List); !slices.Equal(got, want) {
			t.Errorf("%s: numbers read %v, want %v", path, got, want)
		}
		if got := at(root, "others").(Tuple); len(got) != 11 || got[0] != nil || got[1] != true || got[3] != "grün" {
			t.Errorf("%s: others read %v", path, got)
		}
	}
}
