package pth

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/internal/reference"
)

func read(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func parseBytes(raw []byte) (any, error) {
	return parse(source{bytes.NewReader(raw), int64(len(raw)), "bytes.pth"})
}

// zipOf makes an archive of stored entries: name, content, name, content...
func zipOf(entries ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		w, _ := z.CreateHeader(&zip.FileHeader{Name: entries[i], Method: zip.Store})
		io.WriteString(w, entries[i+1])
	}
	z.Close()
	return b.Bytes()
}

// pickleZip is a checkpoint with that pickle and sixteen bytes of storage.
func pickleZip(pickle string) []byte {
	return zipOf("x/data.pkl", "\x80\x02"+pickle, "x/data/0", strings.Repeat("\x00", 16), "x/version", "3\n")
}

func text(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

// rebuild is a pickle of a tensor of float32 in storage 0.
func rebuild(numel, offset int32, shape, strides string) string {
	n := func(v int32) string { return "J" + string(binary.LittleEndian.AppendUint32(nil, uint32(v))) }
	return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + n(numel) + "tQ" +
		n(offset) + shape + strides + "\x89ccollections\nOrderedDict\n)RtR"
}

func compressed() []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, _ := z.Create("x/data.pkl")
	w.Write(make([]byte, 1<<20))
	z.Close()
	return b.Bytes()
}

func TestWhatIsNoGoodCheckpointIsSaidInOneSentence(t *testing.T) {
	dir := t.TempDir()
	legacy, good := read(t, "testdata/small_legacy.pth"), read(t, "testdata/small_zip.pth")
	storage := func(key string, rest string) string {
		return "(" + text("storage") + "ctorch\nFloatStorage\n" + text(key) + text("cpu") + rest + "tQ."
	}
	for name, c := range map[string]struct {
		content []byte
		kind    error
		want    string
	}{
		"empty":        {nil, ErrNotCheckpoint, "the file is empty"},
		"one byte":     {[]byte("P"), ErrNotCheckpoint, "begins neither like"},
		"png":          {[]byte("\x89PNG\r\n\x1a\n..."), ErrNotCheckpoint, "PNG"},
		"jpeg":         {[]byte("\xff\xd8\xff\xe0 JFIF"), ErrNotCheckpoint, "JPEG"},
		"json":         {[]byte(`{"epoch": 3}`), ErrNotCheckpoint, "JSON"},
		"safetensors":  {[]byte("\x40\x00\x00\x00\x00\x00\x00\x00{\"a\": 1}"), ErrNotCheckpoint, "safetensors"},
		"other text":   {[]byte("hello"), ErrNotCheckpoint, "begins neither like"},
		"zip":          {zipOf("hello.txt", "hello"), ErrNotCheckpoint, "without data.pkl"},
		"nested root":  {zipOf("a/b/data.pkl", "\x80\x02N."), ErrNotCheckpoint, "without data.pkl"},
		"other pickle": {[]byte("\x80\x02}q\x00."), ErrNotCheckpoint, "magic number"},

		"cut zip":            {good[:len(good)/2], ErrDamaged, "cut off"},
		"cut legacy":         {legacy[:len(legacy)-1], ErrDamaged, "cut off"},
		"two pickles":        {zipOf("a/data.pkl", "\x80\x02N.", "b/data.pkl", "\x80\x02N."), ErrDamaged, "two entries data.pkl"},
		"same entry twice":   {zipOf("a/data.pkl", "\x80\x02N.", "a/x", "", "a/x", ""), ErrDamaged, `two entries "a/x"`},
		"changed pickle":     {bytes.Replace(good, []byte("numbers"), []byte("nunbers"), 1), ErrDamaged, "checksum"},
		"no end":             {pickleZip("N"), ErrDamaged, "cut off"},
		"empty stack":        {pickleZip("."), ErrDamaged, "empty stack"},
		"mark as value":      {pickleZip("(."), ErrDamaged, "mark"},
		"no mark":            {pickleZip("Nt."), ErrDamaged, "no mark"},
		"unknown memo":       {pickleZip("h\x07."), ErrDamaged, "recalls value 7"},
		"odd items":          {pickleZip("}(K\x01u."), ErrDamaged, "sets 1 keys and values"},
		"append to dict":     {pickleZip("}Na."), ErrDamaged, "appends to a dictionary"},
		"text overruns":      {pickleZip("X\xff\xff\xff\x7fabc."), ErrDamaged, "cut off"},
		"protocol 9":         {zipOf("a/data.pkl", "\x80\x09N."), ErrDamaged, "protocol 9"},
		"endless name":       {pickleZip("c" + strings.Repeat("a", 5000)), ErrDamaged, "1024 letters"},
		"id without tuple":   {pickleZip("K\x01Q."), ErrDamaged, "persistent id is a whole number"},
		"missing storage":    {pickleZip(storage("77", "K\x04")), ErrDamaged, `storage "77" are missing`},
		"storage of -1":      {pickleZip(storage("0", "J\xff\xff\xff\xff")), ErrDamaged, "-1 numbers"},
		"storage too long":   {pickleZip(storage("0", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f")), ErrDamaged, "room"},
		"storage other size": {pickleZip(storage("0", "K\x05")), ErrDamaged, "has 16 bytes, its description says 20"},
		"key out of folder":  {pickleZip(storage("../data.pkl", "K\x04")), ErrDamaged, "missing"},
		"overrun":            {pickleZip(rebuild(4, 1, "K\x04\x85", "K\x01\x85") + "."), ErrDamaged, "overruns"},
		"offset overrun":     {pickleZip(rebuild(4, 4, ")", ")") + "."), ErrDamaged, "overruns"},
		"negative offset":    {pickleZip(rebuild(4, -1, ")", ")") + "."), ErrDamaged, "described wrongly"},
		"negative stride":    {pickleZip(rebuild(4, 3, "K\x04\x85", "J\xff\xff\xff\xff\x85") + "."), ErrDamaged, "described wrongly"},
		"absurd shape":       {pickleZip(rebuild(4, 0, strings.Repeat("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", 2)+"\x86", "K\x01K\x01\x86") + "."), ErrDamaged, "impossible shape"},
		"absurd stride":      {pickleZip(rebuild(4, 0, "K\x02K\x02\x86", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x01\x86") + "."), ErrDamaged, "overruns"},
		"shape of texts":     {pickleZip(rebuild(4, 0, text("a")+"\x85", "K\x01\x85") + "."), ErrDamaged, "described wrongly"},
		"65 dimensions":      {pickleZip(rebuild(4, 0, "("+strings.Repeat("K\x01", 65)+"t", "("+strings.Repeat("K\x01", 65)+"t") + "."), ErrDamaged, "described wrongly"},

		"longer than file": {overlong(), ErrDamaged, `"x/data/0" is longer than the file`},

		"compressed":       {compressed(), ErrRefused, "compressed"},
		"system call":      {pickleZip("cos\nsystem\nX\x02\x00\x00\x00ls\x85R."), ErrRefused, `"os.system"`},
		"stack global":     {pickleZip(text("os") + text("system") + "\x93."), ErrRefused, `"os.system"`},
		"call of a dict":   {pickleZip("})R."), ErrRefused, "calls a dictionary"},
		"argument":         {pickleZip("ccollections\nOrderedDict\n]]\x86R."), ErrRefused, "with 2 arguments"},
		"attributes":       {pickleZip("}}b."), ErrRefused, "attributes of a dictionary"},
		"unknown op":       {pickleZip("i."), ErrRefused, "operation 0x69"},
		"a class":          {pickleZip("ctorch\nFloatStorage\n."), ErrRefused, "object of the class type as a whole"},
		"bare storage":     {pickleZip(storage("0", "K\x04")), ErrRefused, "a bare storage"},
		"a module":         {pickleZip("ctorch.nn.modules.linear\nLinear\n)\x81}b."), ErrRefused, `class torch.nn.modules.linear.Linear as a whole and not a dictionary of tensors; save its weights instead, in Python: torch.save(model.state_dict(), "weights.pth")`},
		"hidden call":      {pickleZip("}" + text("state_dict") + "}s" + text("x") + "cposix\nsystem\n" + text("ls") + "\x85Rs."), ErrRefused, `"posix.system", which no checkpoint needs: it may be an attack`},
		"hidden eval":      {pickleZip("}" + text("x") + "c__builtin__\neval\n" + text("1") + "\x85Rs."), ErrRefused, `"__builtin__.eval"`},
		"object of a dict": {pickleZip("})}\x92."), ErrRefused, "makes an object of a dictionary"},
		"long class":       {pickleZip("c" + strings.Repeat("a", 200) + "\n" + strings.Repeat("b", 100) + "\n."), ErrRefused, "256 letters"},
		"part of a tensor": {pickleZip("ctorch._tensor\n_rebuild_from_type_v2\n(NNNNtR."), ErrRefused, "other arguments than PyTorch's"},
		"long bytes":       {pickleZip("\x8e\xff\xff\xff\xff\xff\xff\xff\xffab."), ErrDamaged, "cut off"},
		"long text":        {pickleZip("\x8d\x00\x00\x00\x00\x01\x00\x00\x00ab."), ErrDamaged, "cut off"},
		"nothing to drop":  {pickleZip("0."), ErrDamaged, "empty stack"},
		"huge number":      {pickleZip("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01."), ErrRefused, "object of the class int as a whole"},
		"deep":             {pickleZip(strings.Repeat("(", 500) + strings.Repeat("t", 500) + "."), ErrRefused, "levels deep"},
		"very deep":        {pickleZip(")" + strings.Repeat("\x85", 1_000_000) + "."), ErrRefused, "levels deep"},
		"very deep call":   {pickleZip(")" + strings.Repeat("\x85", 1_000_000) + ")R."), ErrRefused, "calls a tuple"},
		"billion laughs":   {pickleZip(")" + strings.Repeat("q\x00h\x00\x86", 60) + "."), ErrRefused, "unfolds"},
		"holds itself":     {pickleZip("]q\x00h\x00a."), ErrRefused, "contain themselves"},
		"dict in itself":   {pickleZip("}q\x00K\x01h\x00s."), ErrRefused, "contain themselves"},
		"many values":      {pickleZip(strings.Repeat("}", 2_000_001) + "."), ErrRefused, "more than 2000000 values"},
		"many memories":    {pickleZip("N" + memories(2_000_001) + "."), ErrRefused, "more than 2000000 values"},
		"repeated tensors": {pickleZip("]q\x00(" + rebuild(4, 0, "\x8a\x04\x00\x00\x00\x10\x85", "K\x00\x85") + "e."), ErrRefused, "many times larger"},
		"many dimensions":  {pickleZip(manyDimensions()), ErrRefused, "more than 2000000 values"},
		"part of storage":  {pickleZip(storage("0", "K\x04K\x01")), ErrRefused, "part of another storage"},
		"conjugated":       {pickleZip(strings.Replace(rebuild(4, 0, ")", ")"), ")RtR", ")R}"+text("conj")+"\x88stR.", 1)), ErrRefused, "conjugated"},
		"legacy version":   {bytes.Replace(legacy, []byte("M\xe9\x03"), []byte("M\xe8\x03"), 1), ErrRefused, "version of the old format"},
		"legacy order":     {bytes.Replace(legacy, []byte("little_endianq\x02\x88"), []byte("little_endianq\x02\x89"), 1), ErrRefused, "byte order"},
		"TorchScript":      {zipOf("a/data.pkl", "\x80\x02N.", "a/constants.pkl", ""), ErrRefused, "TorchScript"},
		"big-endian":       {zipOf("a/data.pkl", "\x80\x02N.", "a/byteorder", "big"), ErrRefused, "byte order"},
	} {
		path := filepath.Join(dir, name+".pth")
		if err := os.WriteFile(path, c.content, 0o644); err != nil {
			t.Fatal(err)
		}
		var f *File
		var err error
		spent := allocated(func() { f, err = Open(path) })
		if err == nil {
			f.Close()
			t.Errorf("%s: no error, root %T", name, f.Root)
			continue
		}
		if s := err.Error(); !errors.Is(err, c.kind) || !strings.Contains(s, c.want) || !strings.Contains(s, path) || strings.Contains(s, "\n") || len(s) > 500 {
			t.Errorf("%s: got %.500q, want one line with the file and %q, of kind %q", name, s, c.want, c.kind)
		}
		if limit := allocationLimit(c.content); spent > limit {
			t.Errorf("%s: opening %d bytes allocated %d, want at most %d", name, len(c.content), spent, limit)
		}
	}
}

// allocationPerByte bounds what opening a file may allocate in all (not at once)
// for each of its bytes: the most that one byte of pickle makes is a dictionary
// or a tuple with its place on the stack, and stack and memo grow by doubling.
const allocationPerByte = 200

// allocationLimit is what opening a file may allocate. A compressed pickle counts
// with what it unpacks to, which is bounded as well.
func allocationLimit(raw []byte) uint64 {
	n := len(raw)
	if z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw))); err == nil {
		for _, e := range z.File {
			if strings.HasSuffix(e.Name, "/data.pkl") && e.Method == zip.Deflate {
				n += int(min(e.UncompressedSize64, uint64(maxUnpacking*len(raw)+1<<16)))
			}
		}
	}
	return uint64(allocationPerByte*n + 1<<18)
}

// manyDimensions calls one function with the same 64 dimensions 20000 times.
func manyDimensions() string {
	ones := "(" + strings.Repeat("K\x01", 64) + "t"
	whole := rebuild(4, 0, ones, ones)
	first := strings.TrimSuffix(whole, "R")
	first = strings.Replace(first, "v2\n", "v2\nq\x00", 1) + "q\x01R"
	return "](" + first + strings.Repeat("h\x00h\x01R", 20_000) + "e."
}

// overlong is an archive whose directory says that an entry reaches beyond the
// end of the file.
func overlong() []byte {
	pickle := func(numbers int) []byte { return pickleZip(rebuild(int32(numbers), 0, ")", ")") + ".") }
	numbers := len(pickle(0)) / 4 // as many as the file has room for, but not there
	raw := pickle(numbers)
	at := bytes.LastIndex(raw, []byte("x/data/0")) - 46 // the directory's record
	binary.LittleEndian.PutUint32(raw[at+20:], uint32(4*numbers))
	binary.LittleEndian.PutUint32(raw[at+24:], uint32(4*numbers))
	return raw
}

func memories(n int) string {
	var b []byte
	for i := range n {
		b = append(b, 'r')
		b = binary.LittleEndian.AppendUint32(b, uint32(i))
	}
	return string(b)
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestFoldersMissingFilesAndPipesAreNoCheckpoints(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); !errors.Is(err, ErrNotCheckpoint) || !strings.Contains(err.Error(), "it is a folder") {
		t.Errorf("a folder: got %v", err)
	}
	if _, err := Open(filepath.Join(dir, "none.pth")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none.pth") {
		t.Errorf("a missing file: got %v", err)
	}
	pipe := filepath.Join(dir, "pipe.pth")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("no named pipes here: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := Open(pipe)
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, ErrNotCheckpoint) {
			t.Errorf("a named pipe: got %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("opening a named pipe waits for its other end")
	}
}

func TestEveryTruncationIsNoticed(t *testing.T) {
	for _, path := range []string{
		reference.Path(t, genuine[0]), reference.Path(t, genuine[1]), "testdata/small_zip.pth", "testdata/small_legacy.pth",
	} {
		raw := read(t, path)
		step := max(1, len(raw)/500)
		for n := 0; n < len(raw); n++ {
			if n > 300 && n < len(raw)-300 {
				n = min(n+step, len(raw)-1)
			}
			if _, err := parseBytes(raw[:n]); !errors.Is(err, ErrDamaged) && (n >= 16 || !errors.Is(err, ErrNotCheckpoint)) {
				t.Fatalf("%s: %d of %d bytes: got %v, want ErrDamaged", filepath.Base(path), n, len(raw), err)
			}
		}
	}
}

// TestAChangedBitIsNoticed flips one bit of each byte: a zip file must fail
// somewhere or still give the same values (padding and time stamps matter to
// nobody); a legacy file has no checksums and must only not panic.
func TestAChangedBitIsNoticed(t *testing.T) {
	for _, name := range []string{"small_zip.pth", "small_legacy.pth"} {
		raw := read(t, filepath.Join("testdata", name))
		whole, err := parseBytes(raw)
		if err != nil {
			t.Fatal(err)
		}
		unnoticed := 0
		for at := range raw {
			changed := slices.Clone(raw)
			changed[at] ^= 1 << (at % 8)
			root, err := parseBytes(changed)
			if err != nil {
				continue
			}
			if readEverything(root) == nil && difference(root, whole) != "" {
				unnoticed++
				if name == "small_zip.pth" {
					t.Errorf("%s: bit changed in byte %d: other values without an error: %s", name, at, difference(root, whole))
				}
			}
		}
		t.Logf("%s: %d of %d changed bits went unnoticed", name, unnoticed, len(raw))
	}
}

// readEverything reads all tensors in every way and returns the first error
// that is not about their type.
func readEverything(v any) error {
	var errs []error
	walkTensors(v, func(t *Tensor) {
		if _, err := t.Bytes(); err != nil {
			errs = append(errs, err)
		}
		if t.DType.IsFloat() {
			_, err := t.Float32s()
			_, err2 := t.Float64s()
			errs = append(errs, err, err2)
		} else {
			_, err := t.Int64s()
			errs = append(errs, err)
		}
	})
	return errors.Join(errs...)
}

func walkTensors(v any, use func(*Tensor)) {
	switch v := v.(type) {
	case *Dict:
		for _, x := range v.All() {
			walkTensors(x, use)
		}
	case List:
		for _, x := range v {
			walkTensors(x, use)
		}
	case Tuple:
		for _, x := range v {
			walkTensors(x, use)
		}
	case *Tensor:
		use(v)
	}
}

func TestDamageInsideATensorIsFoundWhenItIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.pth")
	if err := Save(path, filled(NewDict(), "w", FromFloat32([]float32{1, 2, 3, 4321}, 4))); err != nil {
		t.Fatal(err)
	}
	raw := read(t, path)
	i := bytes.Index(raw, []byte{0, 0, 0x80, 0x3f})
	raw[i] ^= 1
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	w := at(t, must(t, path).Root, "w").(*Tensor)
	_, err := w.Float32s()
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), `"0"`) {
		t.Errorf("a changed byte: got %v, want ErrDamaged with file and storage", err)
	}
	if err := os.Truncate(path, int64(i)); err != nil {
		t.Fatal(err)
	}
	if _, err = w.Float32s(); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("cut off after Open: got %v", err)
	}
	if err := Save(filepath.Join(t.TempDir(), "b.pth"), w); !errors.Is(err, ErrDamaged) {
		t.Errorf("saving it elsewhere: got %v", err)
	}
}

func TestReadingAfterCloseIsAnError(t *testing.T) {
	f := must(t, "testdata/small_zip.pth")
	w := at(t, f.Root, "state", "a").(*Tensor)
	f.Close()
	if _, err := w.Float32s(); !errors.Is(err, fs.ErrClosed) || errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want fs.ErrClosed", err)
	}
}
