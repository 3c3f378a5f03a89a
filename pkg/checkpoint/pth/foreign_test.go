package pth

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
)

// foreignValues are what other programs keep beside tensors, and what is read of it.
var foreignValues = []struct {
	pickle string
	want   any
}{
	{numpyNumber("f8", "<", "\x00\x00\x00\x00\x00\x00\xf8?"), 1.5},
	{numpyNumber("f8", ">", "?\xf8\x00\x00\x00\x00\x00\x00"), 1.5},
	{numpyNumber("f4", "<", "\x00\x00\xc0?"), 1.5},
	{numpyNumber("f2", "<", "\x00>"), 1.5},
	{numpyNumber("i8", "<", "\xfe\xff\xff\xff\xff\xff\xff\xff"), int64(-2)},
	{numpyNumber("i2", ">", "\xff\xfe"), int64(-2)},
	{numpyNumber("u1", "|", "\xfe"), int64(254)},
	{numpyNumber("u8", "<", "\xff\xff\xff\xff\xff\xff\xff\xff"), aNumpyScalar},
	{numpyNumber("b1", "|", "\x01"), true},
	{numpyNumber("c8", "<", "\x00\x00\x00\x00\x00\x00\x00\x00"), aNumpyScalar},
	{numpyNumber("f8", "<", strings.Repeat("\x00", 100)), aNumpyScalar},
	{numpyNumber("f8", "<", ""), aNumpyScalar},
	{"cnumpy.core.multiarray\nscalar\n" + numpyDTypeOf("i1", "|") + "U\x01\xff\x86R", int64(-1)}, // Python 2
	{"cnumpy.core.multiarray\nscalar\n" + numpyDTypeOf("i1", "|") + "c_codecs\nencode\n" + text("ÿ") + text("latin1") + "\x86R\x86R", int64(-1)},
	{numpyDTypeOf("i1", "|"), aNumpyType},
	{"cargparse\nNamespace\n)\x81}" + text("lr") + "K\x01sb", &Opaque{"argparse.Namespace"}},
	{"ccopy_reg\n_reconstructor\n(cargparse\nNamespace\nc__builtin__\nobject\nNtR}b", &Opaque{"argparse.Namespace"}},
	{"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(tb", &Opaque{"numpy.ndarray"}},
	{"ca\nB\n)R(K\x01K\x02e}K\x01K\x02sb", &Opaque{"a.B"}}, // with items and attributes
	{"ca\nB\n)}\x92", &Opaque{"a.B"}},
	{"ca\nB\n)R)R", &Opaque{"a.B"}}, // what it returns is called
	{"ctorch.nn\nReLU\n", &Opaque{"torch.nn.ReLU"}},
	{text("a") + text("B") + "\x93)\x81", &Opaque{"a.B"}},
	{"ccollections\nOrderedDict\n", aClass},
	{"\x8f(K\x01\x90", aSet}, {"(K\x01\x91", aSet},
	{"C\x02ab", someBytes}, {"B\x02\x00\x00\x00ab", someBytes}, {"\x8e\x02\x00\x00\x00\x00\x00\x00\x00ab", someBytes}, {"\x96\x02\x00\x00\x00\x00\x00\x00\x00ab", someBytes},
	{"\x8d\x02\x00\x00\x00\x00\x00\x00\x00ab", "ab"},
	{"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01", aBigInt}, {"\x8b\x02\x00\x00\x00\xfe\xff", int64(-2)},
	{"ctorch\nSize\nK\x02K\x03\x86\x85R", Tuple{int64(2), int64(3)}},
	{"ccollections\nCounter\n}K\x01K\x02s\x85R", filled(NewDict(), 1, int64(2))},
	{"ccollections\ndefaultdict\nc__builtin__\nlist\n\x85RK\x01K\x02s", filled(NewDict(), 1, int64(2))},
	{"}G\x00\x00\x00\x00\x00\x00\x00\x00NsK\x01K\x02s)K\x03s", filled(NewDict(), 1, int64(2))}, // other keys
	{"ctorch._utils\n_rebuild_qtensor\n(tR", &Opaque{"torch._utils._rebuild_qtensor"}},
	{"NK\x050", nil}, {"N(K\x051", nil}, {"K\x0520", int64(5)},
	{strings.Replace(rebuild(4, 0, ")", ")"), "FloatStorage", "ComplexFloatStorage", 1), &Opaque{"torch.ComplexFloatStorage"}},
}

func numpyDTypeOf(code, order string) string {
	return "cnumpy\ndtype\n" + text(code) + "\x89\x88\x87R(K\x03" + text(order) + "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
}

func numpyNumber(code, order, raw string) string {
	return "cnumpy._core.multiarray\nscalar\n" + numpyDTypeOf(code, order) + "B" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(raw)))) + raw + "\x86R"
}

// manyObjects makes one object over and over.
var manyObjects = "\x80\x02](ca\nB\nq\x00)\x81" + strings.Repeat("h\x00)R", 1000) + "e."

func TestOtherProgramsValuesAreReadOrSkipped(t *testing.T) {
	for _, c := range foreignValues {
		// Beside a tensor, which must survive.
		root, err := parseBytes(pickleZip("}" + text("x") + c.pickle + "s" + text("t") + rebuild(4, 0, "K\x04\x85", "K\x01\x85") + "s."))
		if err != nil {
			t.Errorf("%q: %v", c.pickle, err)
			continue
		}
		if got, _ := root.(*Dict).Get("x"); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: got %#v, want %#v", c.pickle, got, c.want)
		}
		if v, _ := root.(*Dict).Get("t"); v.(*Tensor).Len() != 4 {
			t.Errorf("%q: the tensor is %v", c.pickle, v)
		}
	}
}

func TestTensorsOfSubclassesAreTensors(t *testing.T) {
	call := strings.TrimSuffix(rebuild(4, 0, "K\x04\x85", "K\x01\x85"), "R") // function, arguments
	function, arguments, _ := strings.Cut(call, "v2\n")
	for name, pickle := range map[string]string{
		"subclass":   "ctorch._tensor\n_rebuild_from_type_v2\n(" + function + "v2\nca\nB\n" + arguments + "}tR",
		"attributes": "ctorch._utils\n_rebuild_parameter_with_state\n(" + call + "R\x88ccollections\nOrderedDict\n)R}tR",
	} {
		root, err := parseBytes(pickleZip(pickle + "."))
		if x, ok := root.(*Tensor); err != nil || !ok || x.Len() != 4 {
			t.Errorf("%s: got %v, %v", name, root, err)
		}
	}
}

func TestWhatWasNotReadIsNotWritten(t *testing.T) {
	if err := Write(io.Discard, filled(NewDict(), "a", aSet)); err == nil || !strings.Contains(err.Error(), "[a]: a *pth.Opaque cannot be written") {
		t.Errorf("got %v", err)
	}
}

// deflated is an archive of compressed entries.
func deflated(entries ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		w, _ := z.Create(entries[i])
		io.WriteString(w, entries[i+1])
	}
	z.Close()
	return b.Bytes()
}

func TestCompressedTensorsAreReadWithTheirChecksums(t *testing.T) {
	const n = 300_000 // several pieces
	numbers := make([]float32, n)
	for i := range numbers {
		numbers[i] = float32(i % 1000)
	}
	raw := string(bytesOf(numbers))
	pickle := "\x80\x02" + rebuild(n, 0, "J\xe0\x93\x04\x00\x85", "K\x01\x85") + rebuild(n, n-3, "K\x03\x85", "K\x01\x85") + rebuild(n, 1, "K\x02K\x02\x86", "K\x01K\x02\x86") + "\x87."
	file := deflated("x/data.pkl", pickle, "x/data/0", raw)
	root, err := parseBytes(file)
	if err != nil {
		t.Fatal(err)
	}
	var got [3][]float32
	for i, x := range root.(Tuple) {
		if got[i], err = x.(*Tensor).Float32s(); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(got[0], numbers) || fmt.Sprint(got[1:]) != "[[997 998 999] [1 3 2 4]]" {
		t.Errorf("got %v ..., %v", got[0][:5], got[1:])
	}
	// Any changed byte of the compressed numbers is noticed when all are read.
	at := bytes.Index(file, []byte("x/data/0")) + 100
	for i := range 200 {
		changed := bytes.Clone(file)
		changed[at+i] ^= 1 << (i % 8)
		root, err := parseBytes(changed)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := root.(Tuple)[0].(*Tensor).Float32s(); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d changed: got %v, want ErrDamaged", i, err)
		}
	}
}

func TestWhatUnpacksToManyTimesTheFileIsRefused(t *testing.T) {
	const n = 4 << 20
	pickle := "\x80\x02" + rebuild(n, 0, "J\x00\x00\x40\x00\x85", "K\x01\x85") + "."
	file := deflated("x/data.pkl", pickle, "x/data/0", strings.Repeat("\x00", 4*n))
	if _, err := parseBytes(file); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "room") {
		t.Errorf("16 MB of zeros in %d bytes: got %v", len(file), err)
	}
	long := deflated("x/data.pkl", "\x80\x02"+strings.Repeat("N0", 1<<20)+"N.")
	var err error
	if spent := allocated(func() { _, err = parseBytes(long) }); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "many times the size") || spent > allocationLimit(long) {
		t.Errorf("a pickle of 2 MB in %d bytes: got %v after allocating %d", len(long), err, spent)
	}
}
