package tensorboard

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"rekindle/pkg/experiment"
)

// point is one value as TensorBoard shows it; events and curves are what a
// reader independent of the package makes of a folder.
type point struct {
	step  int
	value float32
}

type event struct {
	wall    float64
	step    int
	version string
	start   bool
	tags    []string
	values  []float32
	images  [][]byte // encoded
}

// field is one field of a protobuf message: number for varints and fixed ones.
type field struct {
	id     int
	number uint64
	bytes  []byte
}

// fields decodes a message after the description of the format, without the
// library that wrote it.
func fields(t *testing.T, b []byte) (out []field) {
	t.Helper()
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			t.Fatalf("no key in % x", b)
		}
		b = b[n:]
		f := field{id: int(key >> 3)}
		switch key & 7 {
		case 0:
			f.number, n = binary.Uvarint(b)
		case 1:
			f.number, n = binary.LittleEndian.Uint64(b), 8
		case 2:
			size, m := binary.Uvarint(b)
			f.bytes, n = b[m:m+int(size)], m+int(size)
		case 5:
			f.number, n = uint64(binary.LittleEndian.Uint32(b)), 4
		default:
			t.Fatalf("wire type %d", key&7)
		}
		b = b[n:]
		out = append(out, f)
	}
	return out
}

func decode(t *testing.T, raw []byte) (e event) {
	t.Helper()
	for _, f := range fields(t, raw) {
		switch f.id {
		case 1:
			e.wall = math.Float64frombits(f.number)
		case 2:
			e.step = int(f.number)
		case 3:
			e.version = string(f.bytes)
		case 5:
			for _, value := range fields(t, f.bytes) {
				for _, v := range fields(t, value.bytes) {
					switch v.id {
					case 1:
						e.tags = append(e.tags, string(v.bytes))
					case 2:
						e.values = append(e.values, math.Float32frombits(uint32(v.number)))
					case 4:
						for _, p := range fields(t, v.bytes) {
							if p.id == 4 {
								e.images = append(e.images, p.bytes)
							}
						}
					}
				}
			}
		case 7:
			log := fields(t, f.bytes)
			e.start = len(log) == 1 && log[0].id == 1 && log[0].number == 1
		}
	}
	return e
}

// events reads a file up to its end or to half a record there; anything else
// that is wrong fails the test.
func events(t *testing.T, path string) (out []event) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, data, sum []byte) {
		t.Helper()
		crc := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
		if want := (crc>>15 | crc<<17) + 0xa282ead8; binary.LittleEndian.Uint32(sum) != want {
			t.Fatalf("%s: the checksum of a record's %s is % x, want %08x", filepath.Base(path), what, sum, want)
		}
	}
	for len(b) >= 12 {
		check("length", b[:8], b[8:12])
		n := int(binary.LittleEndian.Uint64(b))
		if len(b) < 12+n+4 {
			break
		}
		check("data", b[12:12+n], b[12+n:16+n])
		out = append(out, decode(t, b[12:12+n]))
		b = b[16+n:]
	}
	return out
}

// paths returns the event files of a folder in the order of TensorBoard.
func paths(t *testing.T, exp *experiment.Experiment) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(exp.LogsDir(), "*tfevents*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

// curves shows a folder as TensorBoard does: a START event purges its step and
// those after it. The files themselves may hold no step twice after that.
func curves(t *testing.T, exp *experiment.Experiment) map[string][]point {
	t.Helper()
	out := map[string][]point{}
	for _, path := range paths(t, exp) {
		for i, e := range events(t, path) {
			if (i == 0) != (e.version == "brain.Event:2") {
				t.Errorf("%s: event %d has the version %q", path, i, e.version)
			}
			if math.Abs(e.wall-float64(noon.Unix())) > 3600 {
				t.Errorf("%s: event %d has the time %v", path, i, e.wall)
			}
			if e.start {
				for tag := range out {
					out[tag] = slices.DeleteFunc(out[tag], func(p point) bool { return p.step >= e.step })
				}
			}
			for k, tag := range e.tags {
				if last := len(out[tag]) - 1; last >= 0 && out[tag][last].step >= e.step {
					t.Errorf("%s: %s has step %d after step %d", path, tag, e.step, out[tag][last].step)
				}
				out[tag] = append(out[tag], point{e.step, e.values[k]})
			}
		}
	}
	return out
}
