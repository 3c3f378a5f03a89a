package pth

import (
	"archive/zip"
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/internal/reference"
)

type expected struct {
	Epoch int `json:"epoch"`
	Model map[string]struct {
		Shape       []int
		Sum         float64
		First, Last float64
		DType       string
	} `json:"model_state_dict"`
	Scheduler map[string]any `json:"scheduler_state_dict"`
}

func TestGenuineFilesOfBothFormatsAreRead(t *testing.T) {
	var want expected
	reference.JSON(t, "pth_expected.json", &want)
	for _, name := range []string{"unet_f4_zip.pth", "unet_f4_legacy.pth"} {
		f, err := Open(reference.Path(t, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		root := f.Root.(*Dict)
		if epoch, _ := root.Get("epoch"); epoch != int64(want.Epoch) {
			t.Errorf("%s: epoch %v, want %d", name, epoch, want.Epoch)
		}
		v, _ := root.Get("model_state_dict")
		model := v.(*Dict)
		if !model.Ordered || model.Len() != len(want.Model) {
			t.Errorf("%s: %d weights (ordered %v), want %d in an OrderedDict", name, model.Len(), model.Ordered, len(want.Model))
		}
		for key, v := range model.All() {
			w, tensor := want.Model[key.(string)], v.(*Tensor)
			if !slices.Equal(tensor.Shape, w.Shape) {
				t.Errorf("%s: %s has shape %v, want %v", name, key, tensor.Shape, w.Shape)
			}
			var values []float64
			if w.DType == "torch.int64" {
				counts, err := tensor.Int64s()
				if err != nil {
					t.Fatal(err)
				}
				values = []float64{float64(counts[0])}
			} else {
				numbers, err := tensor.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				for _, x := range numbers {
					values = append(values, float64(x))
				}
			}
			sum := 0.0
			for _, x := range values {
				sum += x
			}
			// The reference sums are of float32 numbers, added in another order.
			if values[0] != w.First || values[len(values)-1] != w.Last || math.Abs(sum-w.Sum) > 1e-6*math.Max(1, math.Abs(w.Sum)) {
				t.Errorf("%s: %s holds %v...%v, sum %v; want %v...%v, %v", name, key, values[0], values[len(values)-1], sum, w.First, w.Last, w.Sum)
			}
		}
	}
}

func sample() *Dict {
	tensors := NewOrderedDict()
	tensors.Set("a", FromFloat32([]float32{0.5, -1, 2, 3, 4, 5}, 2, 3))
	tensors.Set("scalar", FromFloat32([]float32{7}))
	tensors.Set("count", FromInt64([]int64{1 << 40}))
	tensors.Set("empty", FromFloat32(nil, 0, 4))
	plain := NewDict()
	for _, v := range []struct {
		key   string
		value any
	}{
		{"small", int64(5)}, {"word", int64(300)}, {"long", int64(1 << 20)}, {"negative", int64(-7)}, {"huge", int64(1 << 50)}, {"tiny", int64(-1 << 50)},
		{"float", 0.1}, {"none", nil}, {"yes", true}, {"no", false}, {"text", "grün"},
	} {
		plain.Set(v.key, v.value)
	}
	plain.Set("list", List{int64(1), List{}, "x"})
	root := NewDict()
	root.Set("tensors", tensors)
	root.Set("plain", plain)
	root.Set("pair", Tuple{0.9, 0.999})
	root.Set(int64(3), "by number")
	return root
}

func TestWhatIsSavedIsReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.pth")
	if err := Save(path, sample()); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	same(t, "root", f.Root, sample())
}

func same(t *testing.T, at string, got, want any) {
	t.Helper()
	switch want := want.(type) {
	case *Dict:
		g, ok := got.(*Dict)
		if !ok || g.Ordered != want.Ordered || !slices.Equal(g.keys, want.keys) {
			t.Fatalf("%s: got %v, want keys %v", at, got, want.keys)
		}
		for key, v := range want.All() {
			x, _ := g.Get(key)
			same(t, at+"."+strings.Trim(key2text(key), `"`), x, v)
		}
	case List:
		for i := range want {
			same(t, at+"[]", got.(List)[i], want[i])
		}
	case Tuple:
		for i := range want {
			same(t, at+"()", got.(Tuple)[i], want[i])
		}
	case *Tensor:
		g := got.(*Tensor)
		if g.DType != want.DType || !slices.Equal(g.Shape, want.Shape) {
			t.Fatalf("%s: got %v %v, want %v %v", at, g.DType, g.Shape, want.DType, want.Shape)
		}
		if want.DType == Int64 {
			a, _ := g.Int64s()
			b, _ := want.Int64s()
			if !slices.Equal(a, b) {
				t.Errorf("%s: got %v, want %v", at, a, b)
			}
			return
		}
		a, err := g.Float32s()
		b, _ := want.Float32s()
		if err != nil || !slices.Equal(a, b) {
			t.Errorf("%s: got %v, %v, want %v", at, a, err, b)
		}
	default:
		if got != want {
			t.Errorf("%s: got %#v, want %#v", at, got, want)
		}
	}
}

func key2text(k any) string {
	if s, ok := k.(string); ok {
		return s
	}
	return "number"
}

func TestTensorsAreAlignedAndStored(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, sample()); err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range archive.File {
		at, err := e.DataOffset()
		if err != nil || at%64 != 0 || e.Method != zip.Store {
			t.Errorf("%s lies at byte %d with method %d, want a multiple of 64 and stored (%v)", e.Name, at, e.Method, err)
		}
	}
}

// TestOnlyOperationsOfTheRestrictedUnpickler checks our pickles against what
// torch.load(weights_only=True) of PyTorch 2.6 accepts.
func TestOnlyOperationsOfTheRestrictedUnpickler(t *testing.T) {
	ours := []byte{opProto, opStop, opMark, opGlobal, opReduce, opAppends, opSetItems, opTuple, opNone, opNewTrue, opNewFalse,
		opEmptyTuple, opEmptyList, opEmptyDict, opBinInt, opBinInt1, opBinInt2, opLong1, opBinFloat, opBinUnicode, opBinPersID}
	p := &pickler{}
	if err := p.pickle(sample()); err != nil {
		t.Fatal(err)
	}
	used := map[byte]bool{}
	for i := 0; i < len(p.out); {
		op := p.out[i]
		used[op] = true
		i++
		switch op {
		case opProto, opBinInt1:
			i++
		case opBinInt2:
			i += 2
		case opBinInt:
			i += 4
		case opBinFloat:
			i += 8
		case opLong1:
			i += 1 + int(p.out[i])
		case opBinUnicode:
			i += 4 + int(p.out[i]) + int(p.out[i+1])<<8
		case opGlobal:
			for range 2 {
				i += bytes.IndexByte(p.out[i:], '\n') + 1
			}
		}
	}
	for op := range used {
		if !slices.Contains(ours, op) {
			t.Errorf("operation 0x%02x is used, which the restricted unpickler may refuse", op)
		}
	}
}

func TestWhatIsNoCheckpointIsSaidInOneSentence(t *testing.T) {
	dir := t.TempDir()
	var good bytes.Buffer
	if err := Write(&good, sample()); err != nil {
		t.Fatal(err)
	}
	var plainZip bytes.Buffer
	z := zip.NewWriter(&plainZip)
	z.Create("hello.txt")
	z.Close()
	pickleZip := func(pickle string) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, _ := z.CreateHeader(&zip.FileHeader{Name: "x/data.pkl", Method: zip.Store})
		w.Write([]byte(pickle))
		z.Close()
		return b.Bytes()
	}
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":          {nil, "empty"},
		"png":            {[]byte("\x89PNG\r\n\x1a\n..."), "not a PyTorch checkpoint"},
		"json":           {[]byte(`{"epoch": 3}`), "not a PyTorch checkpoint"},
		"zip":            {plainZip.Bytes(), "no data.pkl"},
		"cut":            {good.Bytes()[:good.Len()/2], "cut off"},
		"system call":    {pickleZip("\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R."), `"os.system"`},
		"evil text":      {pickleZip("\x80\x02X\xff\xff\xff\x7fabc."), "cut off"},
		"deep":           {pickleZip("\x80\x02" + strings.Repeat("(", 500) + strings.Repeat("t", 500) + "."), "too deep"},
		"billion laughs": {pickleZip("\x80\x02)" + strings.Repeat("q\x00h\x00\x86", 60) + "."), "too many"},
		"own list":       {pickleZip("\x80\x02]q\x00h\x00a."), ""},
		"unknown op":     {pickleZip("\x80\x02i."), "operation 0x69"},
	} {
		path := filepath.Join(dir, name+".pth")
		if err := os.WriteFile(path, c.content, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err == nil {
			f.Close()
			if c.want != "" {
				t.Errorf("%s: no error", name)
			}
			continue
		}
		if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), name+".pth") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %q, want one line with the file and %q", name, err, c.want)
		}
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("a folder: got %v", err)
	}
}

func TestAChangedBitIsNoticed(t *testing.T) {
	dir := t.TempDir()
	big := NewDict()
	big.Set("w", FromFloat32(make([]float32, 4096), 64, 64))
	var b bytes.Buffer
	if err := Write(&b, big); err != nil {
		t.Fatal(err)
	}
	raw := b.Bytes()
	path := filepath.Join(dir, "a.pth")
	for at := 0; at < len(raw); at += 97 {
		changed := slices.Clone(raw)
		changed[at] ^= 4
		if err := os.WriteFile(path, changed, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			continue
		}
		v, _ := f.Root.(*Dict).Get("w")
		values, err := v.(*Tensor).Float32s()
		if err == nil && slices.ContainsFunc(values, func(x float32) bool { return x != 0 }) {
			t.Errorf("bit changed at byte %d of %d: wrong numbers without an error", at, len(raw))
		}
		f.Close()
	}
}

func FuzzOpen(f *testing.F) {
	var b bytes.Buffer
	if err := Write(&b, sample()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	for _, name := range []string{"unet_f4_zip.pth", "unet_f4_legacy.pth"} {
		raw, err := os.ReadFile(reference.Path(f, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw[:60000])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if root, err := parse(bytes.NewReader(raw), int64(len(raw))); err == nil {
			readAll(root)
		}
	})
}

func readAll(v any) {
	switch v := v.(type) {
	case *Dict:
		for _, x := range v.All() {
			readAll(x)
		}
	case List:
		for _, x := range v {
			readAll(x)
		}
	case *Tensor:
		v.Float32s()
		v.Int64s()
	}
}
