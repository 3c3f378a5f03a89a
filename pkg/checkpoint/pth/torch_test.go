package pth

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/internal/python"
)

func TestPyTorchLoadsWhatGoWrites(t *testing.T) {
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "all.pth"), filepath.Join(dir, "whole.pth"), filepath.Join(dir, "converted.pth")}
	// The third is made of PyTorch's own, with views that are not in order.
	legacy := must(t, filepath.Join("testdata", "small_legacy.pth"))
	for i, v := range []any{sample(), wholeSample(), legacy.Root} {
		if err := Save(paths[i], v); err != nil {
			t.Fatal(err)
		}
	}
	python.Run(t, "torch", "testdata/read.py", paths...)
}

func TestGoLoadsWhatPyTorchWrites(t *testing.T) {
	dir := t.TempDir()
	python.Run(t, "torch", "testdata/write.py", dir)
	for _, name := range []string{"zip.pth", "legacy.pth", "zip_protocol_4.pth", "legacy_protocol_4.pth"} {
		checkPythons(t, filepath.Join(dir, name))
	}
	for name, want := range map[string]string{
		"module.pth": "class torch.nn.modules.linear.Linear", "module_legacy.pth": "class torch.nn.modules.linear.Linear",
		"script.pth": "TorchScript",
	} {
		f, err := Open(filepath.Join(dir, name))
		if err == nil {
			f.Close()
		}
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want ErrRefused with %s", name, err, want)
		}
	}
}

func TestGoLoadsTheSmallFilesThatPyTorchWrote(t *testing.T) {
	checkPythons(t, "testdata/small_zip.pth")
	checkPythons(t, "testdata/small_legacy.pth")
}

// checkPythons compares a file with what testdata/write.py puts into it.
func checkPythons(t *testing.T, path string) {
	t.Helper()
	name := filepath.Base(path)
	root := must(t, path).Root
	floats := func(path ...any) []float32 {
		x, err := at(t, root, path...).(*Tensor).Float32s()
		if err != nil {
			t.Fatalf("%s: %v: %v", name, path, err)
		}
		return x
	}
	wholes := func(path ...any) []int64 {
		x, err := at(t, root, path...).(*Tensor).Int64s()
		if err != nil {
			t.Fatalf("%s: %v: %v", name, path, err)
		}
		return x
	}
	checkViews(t, name, root)
	if state := at(t, root, "state").(*Dict); !state.Ordered || state.Len() != 1 {
		t.Errorf("%s: the state is a dict of %v (ordered %v)", name, state.keys, state.Ordered)
	}
	if got := floats("state", "a"); len(got) != 12 || got[11] != 11 {
		t.Errorf("%s: a parameter reads %v", name, got)
	}
	for key, v := range at(t, root, "dtypes").(*Dict).All() {
		if v.(*Tensor).DType.String() != key {
			t.Errorf("%s: %v has type %v", name, key, v.(*Tensor).DType)
		}
		if strings.Contains(key.(string), "float") {
			if got := floats("dtypes", key); !slices.Equal(got, []float32{-2, 0, 1, 3}) {
				t.Errorf("%s: %v reads %v", name, key, got)
			}
		} else if got := wholes("dtypes", key); !slices.Equal(got, []int64{-2, 0, 1, 3}) {
			t.Errorf("%s: %v reads %v", name, key, got)
		}
	}
	if got := wholes("bytes"); !slices.Equal(got, []int64{0, 200, 255}) {
		t.Errorf("%s: bytes read %v", name, got)
	}
	if got := wholes("bools"); !slices.Equal(got, []int64{1, 0}) {
		t.Errorf("%s: booleans read %v", name, got)
	}
	if got := wholes("wide"); !slices.Equal(got, []int64{1 << 62, -1 << 62}) {
		t.Errorf("%s: int64 read %v", name, got)
	}
	if got := at(t, root, "empty").(*Tensor); !slices.Equal(got.Shape, []int{0, 4}) || len(floats("empty")) != 0 {
		t.Errorf("%s: an empty tensor has shape %v", name, got.Shape)
	}
	// The float16 nearest to 6e-8, 65504, inf, -0.1, -3e-6: multiples of 2^-24 where small.
	half := []float32{1.0 / (1 << 24), 65504, float32(math.Inf(1)), -0.0999755859375, -50.0 / (1 << 24)}
	if got := floats("half"); !slices.Equal(got, half) {
		t.Errorf("%s: half precision reads %v, want %v", name, got, half)
	}
	numbers := List{int64(0), int64(255), int64(256), int64(65535), int64(65536), int64(-1), int64(math.MaxInt32), int64(math.MinInt32),
		int64(1 << 31), int64(1 << 40), int64(-1 << 40), int64(-129), 0.1, math.Inf(1)}
	if d := difference(at(t, root, "numbers"), numbers); d != "" {
		t.Errorf("%s: numbers%s", name, d)
	}
	one, two := int64(1), int64(2)
	others := Tuple{nil, true, false, "grün", Tuple{one}, Tuple{one, two}, Tuple{one, two, int64(3)}, Tuple{one, two, int64(3), int64(4)}, List{}, NewDict(), Tuple{}}
	if d := difference(at(t, root, "others"), others); d != "" {
		t.Errorf("%s: others%s", name, d)
	}
	if got := at(t, root, 7, -1); got != "negative" {
		t.Errorf("%s: a negative key holds %v", name, got)
	}
	if at(t, root, "same", 0) != at(t, root, "same", 1) {
		t.Errorf("%s: a tensor that appears twice was read as two", name)
	}
}
