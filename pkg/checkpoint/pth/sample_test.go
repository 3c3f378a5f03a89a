package pth

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// filled returns a dict of alternating keys and values.
func filled(d *Dict, pairs ...any) *Dict {
	for i := 0; i < len(pairs); i += 2 {
		d.Set(pairs[i], pairs[i+1])
	}
	return d
}

// everyDType holds -2, 0, 1, 3 in each type, for types without sign the same bits.
var everyDType = []struct {
	dtype DType
	raw   []byte
}{
	{Float32, []byte{0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0x40, 0x40}},
	{Float64, []byte{0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 8, 0x40}},
	{Float16, []byte{0, 0xc0, 0, 0, 0, 0x3c, 0, 0x42}},
	{BFloat16, []byte{0, 0xc0, 0, 0, 0x80, 0x3f, 0x40, 0x40}},
	{Int64, []byte{0xfe, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0}},
	{Int32, []byte{0xfe, 255, 255, 255, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0}},
	{Int16, []byte{0xfe, 255, 0, 0, 1, 0, 3, 0}},
	{Int8, []byte{0xfe, 0, 1, 3}},
	{Uint8, []byte{0xfe, 0, 1, 3}},
	{Bool, []byte{1, 0, 1, 1}},
}

// wholeSample is a value with everything that can be written, except fractions
// outside of tensors.
func wholeSample() *Dict {
	dtypes := NewDict()
	for _, c := range everyDType {
		dtypes.Set(c.dtype.String(), FromBytes(c.dtype, c.raw, 4))
	}
	twice := FromFloat32([]float32{1, 2}, 2)
	return filled(NewDict(),
		"tensors", filled(NewOrderedDict(),
			"a", FromFloat32([]float32{0.5, -1, 2, 3, 4, 5}, 2, 3),
			"scalar", FromFloat32([]float32{7}),
			"count", FromInt64([]int64{1 << 40}, 1),
			"empty", FromFloat32(nil, 0, 4)),
		"same", Tuple{twice, twice},
		"dtypes", dtypes,
		"plain", filled(NewDict(),
			"small", 5, "byte", int64(255), "word", int64(300), "words", int64(65535), "long", int64(1<<20), "negative", int64(-7),
			"int32", int64(math.MinInt32), "uint32", int64(1<<31), "huge", int64(1<<50), "tiny", int64(-1<<50), "least", int64(math.MinInt64),
			"none", nil, "yes", true, "no", false, "text", "grün", "", "",
			"list", List{int64(1), List{}, NewDict(), Tuple{}, "x"},
			"tuple", Tuple{int64(1), int64(2), int64(3), int64(4), Tuple{}}),
		3, "by number", int64(-4), NewDict())
}

func sample() *Dict {
	return filled(wholeSample(), "fractions", Tuple{0.9, 0.999, math.Inf(1), math.Copysign(0, -1), math.NaN()})
}

// difference says where two values differ first, "" if nowhere. Tensors are
// compared by type, shape and bytes.
func difference(got, want any) string {
	switch want := want.(type) {
	case *Dict:
		g, ok := got.(*Dict)
		if !ok || g.Ordered != want.Ordered || !slices.Equal(g.keys, want.keys) {
			return fmt.Sprintf(": got %v, want a dict of %v (ordered %v)", got, want.keys, want.Ordered)
		}
		for _, key := range want.keys {
			if d := difference(g.values[key], want.values[key]); d != "" {
				return fmt.Sprintf("[%v]%s", key, d)
			}
		}
	case List:
		g, ok := got.(List)
		if !ok {
			return fmt.Sprintf(": got %T, want a List", got)
		}
		return differenceOfItems(g, want)
	case Tuple:
		g, ok := got.(Tuple)
		if !ok {
			return fmt.Sprintf(": got %T, want a Tuple", got)
		}
		return differenceOfItems(g, want)
	case *Tensor:
		g, ok := got.(*Tensor)
		if !ok || g.DType != want.DType || !slices.Equal(g.Shape, want.Shape) {
			return fmt.Sprintf(": got %v, want a tensor of %v %v", got, want.DType, want.Shape)
		}
		a, err := g.Bytes()
		b, err2 := want.Bytes()
		if err != nil || err2 != nil || string(a) != string(b) {
			return fmt.Sprintf(": got bytes %x (%v), want %x (%v)", a, err, b, err2)
		}
	case int:
		return difference(got, int64(want))
	case float64:
		g, ok := got.(float64)
		if !ok || math.Float64bits(g) != math.Float64bits(want) {
			return fmt.Sprintf(": got %#v, want %v", got, want)
		}
	default:
		if got != want {
			return fmt.Sprintf(": got %#v, want %#v", got, want)
		}
	}
	return ""
}

func differenceOfItems(got, want []any) string {
	if len(got) != len(want) {
		return fmt.Sprintf(": got %d items, want %d", len(got), len(want))
	}
	for i := range want {
		if d := difference(got[i], want[i]); d != "" {
			return fmt.Sprintf("[%d]%s", i, d)
		}
	}
	return ""
}

// must opens a file that has to be good and closes it with the test.
func must(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// at follows keys and positions from v.
func at(t testing.TB, v any, path ...any) any {
	t.Helper()
	for _, key := range path {
		switch x := v.(type) {
		case *Dict:
			item, ok := x.Get(key)
			if !ok {
				t.Fatalf("no %v in %v", key, path)
			}
			v = item
		case List:
			v = x[key.(int)]
		case Tuple:
			v = x[key.(int)]
		default:
			t.Fatalf("%T at %v of %v", v, key, path)
		}
	}
	return v
}
