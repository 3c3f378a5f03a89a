package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func items() []Item {
	return []Item{
		{Name: "conv.weight", Shape: []int{5, 1, 1}, Float32: []float32{1, -2, 0.5, float32(math.Inf(1)), 1e-40}},
		{Name: "norm.num_batches_tracked", Int64: []int64{1 << 40}},
		{Name: `bias "é"`, Shape: []int{1}, Float32: []float32{7}},
		{Name: "empty", Shape: []int{0, 4}},
	}
}

// TestTheBytesAreThoseOfTheFormat reads the file as its specification says.
func TestTheBytesAreThoseOfTheFormat(t *testing.T) {
	var out bytes.Buffer
	if err := Write(&out, items(), map[string]string{"model": "unet"}); err != nil {
		t.Fatal(err)
	}
	raw := out.Bytes()
	n := binary.LittleEndian.Uint64(raw)
	if n%8 != 0 || raw[8] != '{' {
		t.Errorf("the header has %d bytes and begins with %q; want a multiple of 8 and a brace", n, raw[8])
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw[8:8+n], &keys); err != nil {
		t.Fatalf("%v in %s", err, raw[8:8+n])
	}
	var metadata map[string]string
	if err := json.Unmarshal(keys["__metadata__"], &metadata); err != nil || metadata["model"] != "unet" || len(keys) != 5 {
		t.Errorf("metadata %v, %v, of %d keys", metadata, err, len(keys))
	}
	data := raw[8+n:]
	covered := 0
	for _, item := range items() {
		var e struct {
			DType   string `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets []int  `json:"data_offsets"`
		}
		if err := json.Unmarshal(keys[item.Name], &e); err != nil {
			t.Fatalf("%s: %v", item.Name, err)
		}
		if len(e.Shape) != len(item.Shape) || e.Shape == nil {
			t.Errorf("%s: shape %v, want %v", item.Name, e.Shape, item.Shape)
		}
		if e.Offsets[0]%item.width() != 0 {
			t.Errorf("%s begins at byte %d, which is not aligned", item.Name, e.Offsets[0])
		}
		part := data[e.Offsets[0]:e.Offsets[1]]
		covered += len(part)
		if item.Int64 != nil {
			if got := binary.LittleEndian.Uint64(part); e.DType != "I64" || got != 1<<40 || len(part) != 8 {
				t.Errorf("%s: %s %d", item.Name, e.DType, got)
			}
			continue
		}
		if e.DType != "F32" || len(part) != 4*len(item.Float32) {
			t.Errorf("%s: %s in %d bytes", item.Name, e.DType, len(part))
		}
		for i, want := range item.Float32 {
			if got := math.Float32frombits(binary.LittleEndian.Uint32(part[4*i:])); got != want {
				t.Errorf("%s: number %d is %g, want %g", item.Name, i, got, want)
			}
		}
	}
	if covered != len(data) {
		t.Errorf("the arrays cover %d of %d bytes", covered, len(data))
	}
}

func TestNothingAtAllIsAValidFile(t *testing.T) {
	var out bytes.Buffer
	if err := Write(&out, nil, nil); err != nil || out.String() != "\x08\x00\x00\x00\x00\x00\x00\x00{}      " {
		t.Errorf("got %q, %v", out.String(), err)
	}
}

func TestWhatCannotBeWrittenIsRefused(t *testing.T) {
	for want, list := range map[string][]Item{
		"has 2 numbers":    {{Name: "a", Shape: []int{3}, Float32: []float32{1, 2}}},
		"twice":            {{Name: "a", Shape: []int{0}}, {Name: "a", Shape: []int{0}}},
		"reserved":         {{Name: "__metadata__", Shape: []int{0}}},
		"floats and integ": {{Name: "a", Shape: []int{1}, Float32: []float32{1}, Int64: []int64{1}}},
		"but the shape []": {{Name: "a", Float32: []float32{1, 2}}},
	} {
		path := filepath.Join(t.TempDir(), "a.safetensors")
		if err := Save(path, list, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) > 0 {
			t.Errorf("%s is left behind", left[0].Name())
		}
	}
}

// full is a disk with room for n bytes.
type full struct{ n int }

var errFull = errors.New("no space left on device")

func (f *full) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestAFullDiskIsReported(t *testing.T) {
	large := []Item{{Name: "a", Shape: []int{1 << 18}, Float32: make([]float32, 1<<18)}}
	for _, room := range []int{0, 100, 1 << 19} {
		if err := Write(&full{room}, large, nil); !errors.Is(err, errFull) {
			t.Errorf("with room for %d bytes: got %v", room, err)
		}
	}
}
