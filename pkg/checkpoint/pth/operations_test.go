package pth

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/internal/reference"
)

// operation of the pickle machine: its name in Python's pickletools and how its
// operand is measured: a number of bytes, or the bytes that its length takes
// (negative), or two lines.
type operation struct {
	name    string
	operand int
}

const twoLines = 100

// restricted is what torch/_weights_only_unpickler.py of PyTorch 2.6 accepts.
var restricted = map[byte]operation{
	0x80: {"PROTO", 1}, '.': {"STOP", 0}, '(': {"MARK", 0}, 'c': {"GLOBAL", twoLines}, 0x81: {"NEWOBJ", 0}, 'R': {"REDUCE", 0}, 'b': {"BUILD", 0},
	'a': {"APPEND", 0}, 'e': {"APPENDS", 0}, 's': {"SETITEM", 0}, 'u': {"SETITEMS", 0}, 't': {"TUPLE", 0}, 0x85: {"TUPLE1", 0}, 0x86: {"TUPLE2", 0},
	0x87: {"TUPLE3", 0}, 'N': {"NONE", 0}, 0x89: {"NEWFALSE", 0}, 0x88: {"NEWTRUE", 0}, ')': {"EMPTY_TUPLE", 0}, ']': {"EMPTY_LIST", 0},
	'}': {"EMPTY_DICT", 0}, 0x8f: {"EMPTY_SET", 0}, 'J': {"BININT", 4}, 'K': {"BININT1", 1}, 'M': {"BININT2", 2}, 0x8a: {"LONG1", -1}, 'G': {"BINFLOAT", 8},
	'X': {"BINUNICODE", -4}, 'U': {"SHORT_BINSTRING", -1}, 'Q': {"BINPERSID", 0}, 'h': {"BINGET", 1}, 'j': {"LONG_BINGET", 4}, 'q': {"BINPUT", 1}, 'r': {"LONG_BINPUT", 4},
}

// allowedGlobals are those of the restricted unpickler that we write.
func allowedGlobals() []string {
	names := []string{"collections OrderedDict", "torch._utils _rebuild_tensor_v2"}
	for _, c := range everyDType {
		names = append(names, "torch "+dtypes[c.dtype].storage)
	}
	return names
}

// scan counts the operations of a pickle and collects its globals; any that the
// restricted unpickler does not accept fails the test.
func scan(t *testing.T, pickle []byte) (counts map[string]int, globals []string) {
	t.Helper()
	counts = map[string]int{}
	for i := 0; i < len(pickle); {
		op, ok := restricted[pickle[i]]
		if !ok {
			t.Fatalf("byte %d is operation 0x%02x, which the restricted unpickler refuses", i, pickle[i])
		}
		counts[op.name]++
		i++
		switch {
		case op.operand == twoLines:
			lines := strings.SplitN(string(pickle[i:min(len(pickle), i+200)]), "\n", 3)
			globals = append(globals, lines[0]+" "+lines[1])
			i += len(lines[0]) + len(lines[1]) + 2
		case op.operand == -1:
			i += 1 + int(pickle[i])
		case op.operand == -4:
			i += 4 + int(binary.LittleEndian.Uint32(pickle[i:]))
		default:
			i += op.operand
		}
	}
	slices.Sort(globals)
	return counts, slices.Compact(globals)
}

func pickleIn(t *testing.T, raw []byte) []byte {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range archive.File {
		if strings.HasSuffix(e.Name, "/data.pkl") {
			r, err := e.Open()
			if err != nil {
				t.Fatal(err)
			}
			pickle, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return pickle
		}
	}
	t.Fatal("no data.pkl")
	return nil
}

func TestPicklesUseOnlyWhatTheRestrictedUnpicklerAccepts(t *testing.T) {
	f := must(t, reference.Path(t, "unet_f4_zip.pth"))
	for name, v := range map[string]any{"sample": sample(), "a genuine checkpoint written again": f.Root} {
		var b bytes.Buffer
		if err := Write(&b, v); err != nil {
			t.Fatal(err)
		}
		pickle := pickleIn(t, b.Bytes())
		counts, globals := scan(t, pickle)
		if counts["PROTO"] != 1 || counts["STOP"] != 1 || pickle[0] != 0x80 || pickle[1] != 2 || pickle[len(pickle)-1] != '.' {
			t.Errorf("%s: not one pickle of protocol 2: %v", name, counts)
		}
		for _, g := range globals {
			if !slices.Contains(allowedGlobals(), g) {
				t.Errorf("%s: names %q", name, g)
			}
		}
		if counts["BUILD"]+counts["NEWOBJ"]+counts["EMPTY_SET"]+counts["SHORT_BINSTRING"] > 0 {
			t.Errorf("%s: uses operations that not every unpickler allows: %v", name, counts)
		}
	}
}

// TestTheScannerCountsWhatPythonCounted guards the test above.
func TestTheScannerCountsWhatPythonCounted(t *testing.T) {
	var want struct {
		Operations map[string]int `json:"zip_opcodes"`
		Globals    []string       `json:"zip_globals"`
	}
	reference.JSON(t, "pth_opcodes.json", &want)
	counts, globals := scan(t, pickleIn(t, read(t, reference.Path(t, "unet_f4_zip.pth"))))
	if !maps.Equal(counts, want.Operations) || !slices.Equal(globals, want.Globals) {
		t.Errorf("got %v %v, want %v %v", counts, globals, want.Operations, want.Globals)
	}
}
