package pth

import (
	"archive/zip"
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestWhatIsSavedIsReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.pth")
	if err := Save(path, sample()); err != nil {
		t.Fatal(err)
	}
	root := must(t, path).Root
	if d := difference(root, sample()); d != "" {
		t.Errorf("root%s", d)
	}
	if one, two := at(t, root, "same", 0), at(t, root, "same", 1); one.(*Tensor).view.storage != two.(*Tensor).view.storage {
		t.Error("a tensor that appears twice was stored twice")
	}
}

func TestEveryTypeOfNumberIsRead(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, wholeSample()); err != nil {
		t.Fatal(err)
	}
	root, err := parse(source{bytes.NewReader(b.Bytes()), int64(b.Len()), "a"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range everyDType {
		for where, tensor := range map[string]*Tensor{"file": at(t, root, "dtypes", c.dtype.String()).(*Tensor), "memory": FromBytes(c.dtype, c.raw, 4)} {
			f32, err32 := tensor.Float32s()
			f64, err64 := tensor.Float64s()
			i64, errInt := tensor.Int64s()
			switch c.dtype {
			case Float32, Float64, Float16, BFloat16:
				if !slices.Equal(f32, []float32{-2, 0, 1, 3}) || !slices.Equal(f64, []float64{-2, 0, 1, 3}) || err32 != nil || err64 != nil {
					t.Errorf("%v in %s: got %v %v, want -2 0 1 3 (%v, %v)", c.dtype, where, f32, f64, err32, err64)
				}
				if errInt == nil {
					t.Errorf("%v in %s was read as whole numbers", c.dtype, where)
				}
			default:
				want := map[DType][]int64{Uint8: {254, 0, 1, 3}, Bool: {1, 0, 1, 1}}[c.dtype]
				if want == nil {
					want = []int64{-2, 0, 1, 3}
				}
				if !slices.Equal(i64, want) || errInt != nil {
					t.Errorf("%v in %s: got %v, want %v (%v)", c.dtype, where, i64, want, errInt)
				}
				if err32 == nil || err64 == nil {
					t.Errorf("%v in %s was read as fractions", c.dtype, where)
				}
			}
		}
	}
}

func TestTensorsAreReadIntoGivenSlices(t *testing.T) {
	f := must(t, filepath.Join("testdata", "small_zip.pth"))
	tensor := at(t, f.Root, "views", 0).(*Tensor)
	dst := make([]float32, 24)
	if err := tensor.ReadFloat32s(dst); err != nil || dst[23] != 23 {
		t.Errorf("got %v, %v", dst, err)
	}
	if err := tensor.ReadFloat32s(dst[:23]); err == nil {
		t.Error("24 numbers were read into 23 places")
	}
}

// The files are PyTorch's own (testdata/write.py).
func TestViewsOfSharedStoragesAreReadInTheirOrder(t *testing.T) {
	for _, name := range []string{"small_zip.pth", "small_legacy.pth"} {
		f := must(t, filepath.Join("testdata", name))
		checkViews(t, name, f.Root)
	}
}

func checkViews(t *testing.T, name string, root any) {
	t.Helper()
	var base []float32
	for i := range 24 {
		base = append(base, float32(i))
	}
	var transposed []float32
	for x := range 6 {
		for y := range 4 {
			transposed = append(transposed, float32(6*y+x))
		}
	}
	for i, want := range [][]float32{base, {6, 8, 10, 12, 14, 16}, transposed, {12, 13, 14, 15, 16, 17}, {22}, {1, 1, 1, 7, 7, 7, 13, 13, 13, 19, 19, 19}, {}} {
		got, err := at(t, root, "views", i).(*Tensor).Float32s()
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: view %d: got %v, want %v (%v)", name, i, got, want, err)
		}
	}
}

func TestTensorsOfOneFileAreReadConcurrently(t *testing.T) {
	f := must(t, filepath.Join("testdata", "small_zip.pth"))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { checkViews(t, "concurrently", f.Root) })
	}
	group.Wait()
}

func TestEntriesAreAlignedAndStored(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, sample()); err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range archive.File {
		names = append(names, e.Name)
		if at, err := e.DataOffset(); err != nil || at%64 != 0 || e.Method != zip.Store {
			t.Errorf("%s lies at byte %d with method %d, want a multiple of 64 and stored (%v)", e.Name, at, e.Method, err)
		}
	}
	for _, want := range []string{"archive/data.pkl", "archive/byteorder", "archive/data/0", "archive/version"} {
		if !slices.Contains(names, want) {
			t.Errorf("no entry %s among %v", want, names)
		}
	}
}

// position notes where in the file the word "after" is written.
type position struct{ n, after int64 }

func (p *position) Write(b []byte) (int, error) {
	if i := bytes.Index(b[:min(len(b), 4096)], []byte("after")); i >= 0 {
		p.after = p.n + int64(i)
	}
	p.n += int64(len(b))
	return len(b), nil
}

func TestWhatFollowsFourGibibytesIsAlignedToo(t *testing.T) {
	if testing.Short() {
		t.Skip("computes the checksum of 4 GiB")
	}
	w := &position{}
	a := newArchiver(w)
	zeros := make([]byte, 1<<26)
	a.entry("big", 1<<32, func(use func([]byte) error) error {
		for range 1 << 6 {
			if err := use(zeros); err != nil {
				return err
			}
		}
		return nil
	})
	a.bytes("small", []byte("after"))
	if err := a.zip.Flush(); err != nil || a.err != nil {
		t.Fatal(err, a.err)
	}
	if w.after < 1<<32 || w.after%alignment != 0 {
		t.Errorf("the entry behind begins at byte %d, want a multiple of %d", w.after, alignment)
	}
}

func TestTheSameValuesGiveTheSameBytes(t *testing.T) {
	var a, b bytes.Buffer
	if err := errors.Join(Write(&a, sample()), Write(&b, sample())); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two files of the same values differ")
	}
}

func TestAKeySetAgainKeepsItsPlace(t *testing.T) {
	var d Dict // the zero value is ready
	d.Set("a", 1)
	d.Set(2, "b")
	d.Set("a", 3)
	if v, ok := d.Get(int64(2)); !ok || v != "b" || d.Len() != 2 || d.keys[0] != "a" {
		t.Errorf("got %v %v, keys %v", v, ok, d.keys)
	}
	if v, _ := d.Get("a"); v != 3 {
		t.Errorf("got %v, want the later value 3", v)
	}
}

func TestWhatPythonCouldNotLoadIsNotWritten(t *testing.T) {
	self := NewDict()
	self.Set("self", self)
	tied := FromFloat32(make([]float32, 100), 100)
	often := List{}
	for range 100 {
		often = append(often, tied)
	}
	deep := any(List{})
	for range 200 {
		deep = List{deep}
	}
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"another type":    {filled(NewDict(), "x", List{1, make(chan int)}), "[x]: [1]: a chan int cannot"},
		"broken text":     {"\xff", "UTF-8"},
		"broken key":      {filled(NewDict(), "\xff", 1), "UTF-8"},
		"fraction as key": {filled(NewDict(), 0.5, 1), "float64 cannot be a key"},
		"holds itself":    {self, "contain themselves"},
		"too deep":        {deep, "nest more than"},
		"wrong shape":     {FromFloat32(make([]float32, 5), 2, 3), "it has 5 numbers, want 6"},
		"negative shape":  {FromFloat32(nil, -1), "negative size"},
		"absurd shape":    {FromFloat32(nil, math.MaxInt, math.MaxInt), "more numbers than can be counted"},
		"half a number":   {FromBytes(Float32, make([]byte, 5), 1), "1 numbers"},
		"too many values": {make(List, maxValues+1), "more than 2000000 values"},
		"too often":       {often, "more than 64 times"},
		"no type":         {FromBytes(0, nil), "unknown type"},
		"nil tensor":      {(*Tensor)(nil), "nil *Tensor"},
		"nil dict":        {(*Dict)(nil), "nil *Dict"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "a.pth")
		if err := os.WriteFile(path, []byte("the old file"), 0o644); err != nil {
			t.Fatal(err)
		}
		err := Save(path, c.value)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
		if old, _ := os.ReadFile(path); string(old) != "the old file" {
			t.Errorf("%s: the old file was changed", name)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 1 {
			t.Errorf("%s: left %v behind", name, entries)
		}
	}
}

// full is a disk with room for n bytes.
type full struct{ n int }

var errFull = errors.New("no space left")

func (f *full) Write(b []byte) (int, error) {
	if len(b) > f.n {
		return f.n, errFull
	}
	f.n -= len(b)
	return len(b), nil
}

func TestAFullDiskIsAnErrorWhereverItHappens(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, sample()); err != nil {
		t.Fatal(err)
	}
	for n := range b.Len() {
		if err := Write(&full{n}, sample()); !errors.Is(err, errFull) {
			t.Fatalf("with room for %d of %d bytes: got %v", n, b.Len(), err)
		}
	}
	if err := Write(&full{b.Len()}, sample()); err != nil {
		t.Errorf("with room for all: %v", err)
	}
}

// TestMachinesOfTheOtherByteOrderSwap runs the byte swapping of the other kind of machine here:
// what is written swapped must be read back swapped.
func TestMachinesOfTheOtherByteOrderSwap(t *testing.T) {
	numbers := []float32{1, -2, 3e9}
	counts := []int64{1, 1 << 40}
	var straight, swapped bytes.Buffer
	value := func() any { return List{FromFloat32(numbers, 3), FromInt64(counts, 2)} }
	if err := Write(&straight, value()); err != nil {
		t.Fatal(err)
	}
	nativeIsLittle = !nativeIsLittle
	defer func() { nativeIsLittle = !nativeIsLittle }()
	if err := Write(&swapped, value()); err != nil {
		t.Fatal(err)
	}
	if i, j := bytes.Index(straight.Bytes(), []byte{0, 0, 0x80, 0x3f}), bytes.Index(swapped.Bytes(), []byte{0x3f, 0x80, 0, 0}); i < 0 || i != j {
		t.Errorf("1.0 lies at %d, swapped at %d", i, j)
	}
	root, err := parse(source{bytes.NewReader(swapped.Bytes()), int64(swapped.Len()), "swapped"})
	if err != nil {
		t.Fatal(err)
	}
	f, err := at(t, root, 0).(*Tensor).Float32s()
	n, err2 := at(t, root, 1).(*Tensor).Int64s()
	if err != nil || err2 != nil || !slices.Equal(f, numbers) || !slices.Equal(n, counts) {
		t.Errorf("got %v %v (%v, %v)", f, n, err, err2)
	}
}
