package safetensors

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/internal/allocation"
	"rekindle/pkg/internal/reference"
)

// file writes a header and numbers behind it.
func file(t testing.TB, header, numbers string) string {
	t.Helper()
	raw := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return rawFile(t, string(raw)+header+numbers)
}

func rawFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.safetensors")
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTensorsAreReadByName(t *testing.T) {
	header := `{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,1],"data_offsets":[2,10]},` +
		`"half":{"dtype":"F16","shape":[],"data_offsets":[0,2]},"wide":{"dtype":"F64","shape":[1],"data_offsets":[10,18]},` +
		`"brain":{"dtype":"BF16","shape":[1],"data_offsets":[18,20]},"none":{"dtype":"I64","shape":[0,3],"data_offsets":[20,20]}}   `
	le := binary.LittleEndian
	numbers := le.AppendUint16(nil, 0xc000) // -2
	numbers = le.AppendUint32(le.AppendUint32(numbers, math.Float32bits(1.5)), math.Float32bits(-0.25))
	numbers = le.AppendUint16(le.AppendUint64(numbers, math.Float64bits(0.1)), 0x3fc0) // 1.5
	f, err := Open(file(t, header, string(numbers)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if want := []string{"half", "b", "wide", "brain", "none"}; !slices.Equal(f.Names(), want) || f.Metadata["format"] != "pt" {
		t.Errorf("got %v and %v, want %v", f.Names(), f.Metadata, want)
	}
	for name, want := range map[string][]float32{"b": {1.5, -0.25}, "half": {-2}, "wide": {float32(0.1)}, "brain": {1.5}} {
		tensor, ok := f.Tensor(name)
		if !ok {
			t.Fatalf("no %s", name)
		}
		if got, err := tensor.Float32s(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, want)
		}
	}
	none, _ := f.Tensor("none")
	if !slices.Equal(none.Shape, []int{0, 3}) {
		t.Errorf("got shape %v", none.Shape)
	}
	if _, err := none.Float32s(); err != nil {
		t.Errorf("an empty tensor: %v", err)
	}
	if _, ok := f.Tensor("missing"); ok {
		t.Error("a tensor that is not there was found")
	}
}

// Files that PyTorch's side wrote.
func TestGenuineFiles(t *testing.T) {
	for _, name := range []string{"layers.safetensors", "f64_unet_bilinear_f2.safetensors"} {
		f, err := Open(reference.Path(t, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		want := reference.Load(t, name)
		if len(f.Names()) != len(want) {
			t.Errorf("%s: %d tensors, want %d", name, len(f.Names()), len(want))
		}
		for _, tensor := range f.Names() {
			x, _ := f.Tensor(tensor)
			if x.DType[0] == 'I' {
				continue
			}
			got, err := x.Float32s()
			if err != nil || !slices.Equal(x.Shape, want[tensor].Shape) || !slices.Equal(got, want[tensor].Float32()) {
				t.Errorf("%s: %s differs (%v)", name, tensor, err)
			}
		}
	}
}

func TestBadFilesAreRefusedInOneSentence(t *testing.T) {
	one := func(fields string) string { return `{"a":{` + fields + `}}` }
	for name, c := range map[string]struct {
		header, numbers string
		want            string
	}{
		"no JSON":          {`{]`, "", "no JSON object"},
		"cut JSON":         {`{"a"`, "", "wrongly"},
		"list":             {`{"a":[1]}`, "", "wrongly"},
		"unknown type":     {one(`"dtype":"F31","shape":[1],"data_offsets":[0,4]`), "1234", `type "F31"`},
		"no type":          {one(`"shape":[1],"data_offsets":[0,4]`), "1234", "type"},
		"shape too large":  {one(`"dtype":"F32","shape":[2],"data_offsets":[0,4]`), "1234", "shape [2]"},
		"shape too small":  {one(`"dtype":"F32","shape":[0],"data_offsets":[0,4]`), "1234", "shape [0]"},
		"half a number":    {one(`"dtype":"F32","shape":[1],"data_offsets":[0,5]`), "12345", "5 bytes"},
		"negative shape":   {one(`"dtype":"F32","shape":[-1],"data_offsets":[0,4]`), "1234", "impossible"},
		"shape overflows":  {one(`"dtype":"U8","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,4]`), "1234", "impossible"},
		"fractional shape": {one(`"dtype":"F32","shape":[1.5],"data_offsets":[0,4]`), "1234", "wrongly"},
		"negative place":   {one(`"dtype":"U8","shape":[4],"data_offsets":[-4,0]`), "1234", "lies at"},
		"reverse place":    {one(`"dtype":"U8","shape":[4],"data_offsets":[4,0]`), "1234", "lies at"},
		"huge place":       {one(`"dtype":"U8","shape":[4],"data_offsets":[9223372036854775800,9223372036854775804]`), "1234", "lies at"},
		"behind the end":   {one(`"dtype":"U8","shape":[4],"data_offsets":[0,4]`), "123", "the file at"},
		"something behind": {one(`"dtype":"U8","shape":[4],"data_offsets":[0,4]`), "12345", "the file at"},
		"gap":              {one(`"dtype":"U8","shape":[4],"data_offsets":[1,5]`), "12345", "does not begin"},
		"overlap":          {`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}`, "123456", "does not begin"},
		"same place":       {`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, "1234", "does not begin"},
		"twice":            {`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}`, "1234", "twice"},
		"metadata":         {`{"__metadata__":{"a":1}}`, "", "no texts"},
		"many dimensions":  {one(`"dtype":"U8","shape":[` + strings.Repeat("1,", 70) + `1],"data_offsets":[0,1]`), "1", "71 dimensions"},
	} {
		f, err := Open(file(t, c.header, c.numbers))
		if err == nil {
			f.Close()
		}
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		content string
		kind    error
	}{
		"empty": {"", ErrNotSafetensors}, "text": {"hello, world", ErrNotSafetensors}, "zip": {"PK\x03\x04 and so on", ErrNotSafetensors},
		"header of 2^60 bytes": {"\x00\x00\x00\x00\x00\x00\x00\x10{}", ErrDamaged}, "header of 200 MB": {"\x00\xc2\xeb\x0b\x00\x00\x00\x00{}", ErrDamaged},
		"header behind the end": {"\x03\x00\x00\x00\x00\x00\x00\x00{}", ErrDamaged},
	} {
		if _, err := Open(rawFile(t, c.content)); !errors.Is(err, c.kind) {
			t.Errorf("%s: got %v, want %v", name, err, c.kind)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Open(t.TempDir()); !errors.Is(err, ErrNotSafetensors) {
		t.Errorf("a folder: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "1234")
	f.Add(`{"__metadata__":{"x":"y"},"a":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}}`, "1234")
	f.Fuzz(func(t *testing.T, header, numbers string) {
		path := file(t, header, numbers)
		var g *File
		var err error
		allocation.Within(t, len(header)+len(numbers), 200, 1<<17, func() { g, err = Open(path) })
		if err != nil {
			return
		}
		defer g.Close()
		total := 0
		for _, name := range g.Names() {
			x, _ := g.Tensor(name)
			raw, err := x.Bytes()
			if err != nil {
				t.Fatalf("%q was accepted and cannot be read: %v", name, err)
			}
			total += len(raw)
			_, _ = x.Float32s()
		}
		if total != len(numbers) {
			t.Fatalf("%d bytes of tensors in a file with %d", total, len(numbers))
		}
	})
}
