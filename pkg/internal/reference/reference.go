// Package reference gives tests the numbers that PyTorch 1.13 computed for the
// original networks, losses and optimizer: what each file holds is described
// in testdata/README.md.
//
// Files are looked for in REKINDLE_REFERENCE, in this package's testdata and in
// ../shared/reference beside the repository. The four large float32 network
// cases are in the last one only; [Load] skips the test, saying so, where they
// are missing.
package reference

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Tensor is one array of a .safetensors file, row-major, widened to float64.
// BF16, F32 and the integers convert exactly.
type Tensor struct {
	DType string // as in the file: F32, F64, BF16, I32 or I64
	Shape []int
	Data  []float64
}

// Float32 returns the data narrowed to float32: exact unless DType is F64.
func (t Tensor) Float32() []float32 {
	out := make([]float32, len(t.Data))
	for i, v := range t.Data {
		out[i] = float32(v)
	}
	return out
}

// Path returns where the named reference file is, or skips the test with the
// places that were searched.
func Path(t testing.TB, name string) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	folders := []string{
		os.Getenv("REKINDLE_REFERENCE"),
		filepath.Join(filepath.Dir(here), "testdata"),
		filepath.Join(filepath.Dir(here), "../../../../shared/reference"),
	}
	for _, dir := range folders {
		if dir == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return filepath.Join(dir, name)
		}
	}
	t.Skipf("reference file %s is not on this machine (searched %q); set REKINDLE_REFERENCE to its folder", name, folders)
	return ""
}

// Load reads every tensor of a .safetensors file.
func Load(t testing.TB, name string) map[string]Tensor {
	t.Helper()
	return LoadFile(t, Path(t, name))
}

// LoadFile is [Load] for a file anywhere.
func LoadFile(t testing.TB, path string) map[string]Tensor {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := parse(raw)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return tensors
}

// JSON reads a .json reference file into v.
func JSON(t testing.TB, name string, v any) {
	t.Helper()
	raw, err := os.ReadFile(Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func parse(raw []byte) (map[string]Tensor, error) {
	if len(raw) < 8 {
		return nil, fmt.Errorf("too short for a safetensors header: %d bytes", len(raw))
	}
	n := binary.LittleEndian.Uint64(raw)
	if n > uint64(len(raw)-8) {
		return nil, fmt.Errorf("header of %d bytes in a file of %d", n, len(raw))
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(raw[8:8+n], &header); err != nil {
		return nil, err
	}
	body := raw[8+n:]
	out := make(map[string]Tensor, len(header))
	for name, entry := range header {
		if name == "__metadata__" {
			continue
		}
		var e struct {
			DType   string `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}
		if err := json.Unmarshal(entry, &e); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		data, err := decode(e.DType, body[e.Offsets[0]:e.Offsets[1]])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = Tensor{e.DType, e.Shape, data}
	}
	return out, nil
}

func decode(dtype string, b []byte) ([]float64, error) {
	widths := map[string]int{"BF16": 2, "F32": 4, "I32": 4, "F64": 8, "I64": 8}
	w := widths[dtype]
	if w == 0 {
		return nil, fmt.Errorf("unknown dtype %q", dtype)
	}
	out := make([]float64, len(b)/w)
	le := binary.LittleEndian
	for i := range out {
		at := b[i*w:]
		switch dtype {
		case "BF16":
			out[i] = float64(math.Float32frombits(uint32(le.Uint16(at)) << 16))
		case "F32":
			out[i] = float64(math.Float32frombits(le.Uint32(at)))
		case "I32":
			out[i] = float64(int32(le.Uint32(at)))
		case "F64":
			out[i] = math.Float64frombits(le.Uint64(at))
		case "I64":
			out[i] = float64(int64(le.Uint64(at)))
		}
	}
	return out, nil
}
