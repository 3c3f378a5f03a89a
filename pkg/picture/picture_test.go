package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/tiff"
)

// The files of testdata were made by other programs, see testdata/make.py. All
// show one of these pictures, 37 wide and 23 high.

func rgb8(x, y int) []uint16 {
	return []uint16{wide(uint8(x*6 + 20)), wide(uint8(y*9 + 10)), wide(uint8((x + y) * 4))}
}
func rgba8(x, y int) []uint16 { return append(rgb8(x, y), wide(uint8(x*5+y*2))) }
func grey8(x, y int) []uint16 { return []uint16{wide(uint8(x*3 + y*5))} }
func greya(x, y int) []uint16 { return append(grey8(x, y), wide(uint8(x*5+y*2))) }
func bits(x, y int) []uint16  { return []uint16{uint16(btoi(x*3+y*5 > 99)) * 0xFFFF} }
func grey16(x, y int) []uint16 {
	return []uint16{uint16(x*1000 + y*1111)}
}
func rgb16(x, y int) []uint16 {
	return []uint16{uint16(x*1700 + y*13), uint16(y*2500 + x*7), uint16((x+y)*1000 + 5)}
}
func rgba16(x, y int) []uint16 { return append(rgb16(x, y), uint16(x*1500+y*300)) }
func keyed(x, y int) []uint16 {
	if x == 3 && y == 4 {
		return append(rgb8(x, y), 0)
	}
	return append(rgb8(x, y), 0xFFFF)
}

const (
	grey = 1 << iota
	alpha
	deep
	parts
)

var cases = []struct {
	file    string
	kind    int
	want    func(x, y int) []uint16
	off     float64 // mean difference allowed, in 8-bit levels
	profile bool
}{
	{"rgb.png", parts, rgb8, 0, false},
	{"grey.png", grey | parts, grey8, 0, false},
	{"rgba.png", alpha | parts, rgba8, 0, false},
	{"rgb16.png", deep | parts, rgb16, 0, false},
	{"rgba16.png", alpha | deep | parts, rgba16, 0, false},
	{"grey16.png", grey | deep | parts, grey16, 0, false},
	{"greya.png", grey | alpha | parts, greya, 0, false},
	{"interlaced.png", 0, rgb8, 0, false},
	{"palette.png", 0, rgb8, 14, false},
	{"bits.png", grey, bits, 0, false},
	{"key.png", alpha, keyed, 0, false},
	{"turned.png", 0, rgb8, 0, true},
	{"rgb.jpg", 0, rgb8, 2, false},
	{"grey.jpg", grey, grey8, 2, false},
	{"progressive.jpg", 0, rgb8, 5, false},
	{"turned.jpg", 0, rgb8, 2, true},
	{"plain.tif", parts, rgb8, 0, false},
	{"one_strip.tif", parts, rgb8, 0, false},
	{"packbits.tif", parts, rgb8, 0, false},
	{"lzw.tif", 0, rgb8, 0, false},
	{"deflate.tif", 0, rgb8, 0, true},
	{"tiles.tif", parts, rgb8, 0, false},
	{"grey.tif", grey | parts, grey8, 0, false},
	{"rgba.tif", alpha | parts, rgba8, 0, false},
	{"rgb16.tif", deep | parts, rgb16, 0, false},
	{"rgb16_lzw_strips.tif", deep | parts, rgb16, 0, false},
	{"rgb16_zip_big_endian.tif", deep | parts, rgb16, 0, false},
	{"grey16.tif", grey | deep, grey16, 0, false},
	{"rgba16.tif", alpha | deep, rgba16, 0, false},
	{"turned.tif", 0, rgb8, 0, false},
	{"fax3.tif", grey, bits, 0, false},
	{"fax4.tif", grey, bits, 0, false},
	{"fax4_reversed.tif", grey, bits, 0, false},
	{"lossy.webp", 0, rgb8, 2.5, false},
	{"lossy_alpha.webp", alpha, rgba8, 2.5, false},
	{"rgba.webp", alpha, rgba8, 0, false},
	{"turned.webp", 0, rgb8, 2.5, true},
	{"rgb.bmp", 0, rgb8, 0, false},
	{"grey.bmp", grey, grey8, 0, false},
	{"rgba.bmp", alpha, rgba8, 0, false},
	{"frames.gif", 0, rgb8, 8, false}, // its second picture is black
}

// rows reads all rows, few at once.
func rows(t *testing.T, r *Reader) []uint16 {
	t.Helper()
	var all []uint16
	for y := 0; y < r.H; {
		n := min(1+y%7, r.H-y)
		part := make([]uint16, n*r.W*r.Channels())
		if err := r.Read(part); err != nil {
			t.Fatalf("row %d: %v", y, err)
		}
		all, y = append(all, part...), y+n
	}
	if err := r.Read(make([]uint16, r.W*r.Channels())); err != io.EOF {
		t.Errorf("behind the last row: %v, want io.EOF", err)
	}
	return all
}

func TestFilesOfOtherProgramsAreRead(t *testing.T) {
	for _, c := range cases {
		t.Run(c.file, func(t *testing.T) {
			path := filepath.Join("testdata", c.file)
			r, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			got := [...]bool{r.Gray, r.Alpha, r.Deep, r.InParts}
			want := [...]bool{c.kind&grey != 0, c.kind&alpha != 0, c.kind&deep != 0, c.kind&parts != 0}
			if got != want {
				t.Fatalf("grey, alpha, 16 bits, in parts: %v, want %v", got, want)
			}
			w, h, err := Size(path)
			if err != nil || r.W != 37 || r.H != 23 || w != 37 || h != 23 {
				t.Fatalf("%dx%d, and by Size %dx%d (%v), want 37x23", r.W, r.H, w, h, err)
			}
			if (r.Profile != nil) != c.profile {
				t.Errorf("a colour profile of %d bytes, want one: %v", len(r.Profile), c.profile)
			}
			compare(t, r.Info, rows(t, r), c.want, c.off)
		})
	}
	files, err := filepath.Glob("testdata/*.*")
	if err != nil || len(files) < len(cases) {
		t.Errorf("%d files (%v)", len(files), err)
	}
}

func compare(t *testing.T, i Info, got []uint16, want func(x, y int) []uint16, off float64) {
	t.Helper()
	ch, sum := i.Channels(), 0.0
	for y := range i.H {
		for x := range i.W {
			p, w := got[(y*i.W+x)*ch:][:ch], want(x, y)
			if i.Alpha && w[ch-1] == 0 {
				continue // what is transparent may have any colour
			}
			for c := range w {
				d := float64(p[c]) - float64(w[c])
				if off == 0 && d != 0 {
					t.Fatalf("the pixel at %d, %d is %v, want %v", x, y, p, w)
				}
				sum += max(d, -d) / 257
			}
		}
	}
	if mean := sum / float64(len(got)); mean > off {
		t.Errorf("it differs by %.2f levels in the mean, want at most %.2f", mean, off)
	}
}

func TestPicturesAreWrittenAsTheyWereRead(t *testing.T) {
	for _, c := range cases {
		for _, ending := range []string{".png", ".tif", ".bmp", ".jpg"} {
			t.Run(c.file+ending, func(t *testing.T) {
				in, err := Open(filepath.Join("testdata", c.file))
				if err != nil {
					t.Fatal(err)
				}
				defer in.Close()
				path := filepath.Join(t.TempDir(), "out"+ending)
				out, err := Create(path, in.Info)
				if err != nil {
					t.Fatal(err)
				}
				defer out.Abort()
				all := rows(t, in)
				line := in.W * in.Channels()
				for y := 0; y < in.H; {
					n := min(1+y%5, in.H-y)
					if err := out.Write(all[y*line : (y+n)*line]); err != nil {
						t.Fatal(err)
					}
					y += n
				}
				if err := out.Commit(false); err != nil {
					t.Fatal(err)
				}
				plain := ending == ".jpg" || ending == ".bmp"
				greyAlpha := in.Gray && in.Alpha
				if ending == ".tif" && greyAlpha {
					return // written, but x/image does not read it
				}
				back, err := Open(path)
				if err != nil {
					t.Fatal(err)
				}
				defer back.Close()
				if back.W != in.W || back.H != in.H || back.Deep != (in.Deep && !plain) || back.Alpha != (in.Alpha && !plain) || back.Gray != in.Gray && !(greyAlpha && ending == ".png") {
					t.Errorf("written %+v, read %+v", in.Info, back.Info)
				}
				if ending != ".bmp" && !bytes.Equal(back.Profile, in.Profile) {
					t.Errorf("a profile of %d bytes became one of %d", len(in.Profile), len(back.Profile))
				}
				if lost := out.Lost != ""; lost != (plain && (in.Deep || in.Alpha)) {
					t.Errorf("lost: %q", out.Lost)
				}
				if ending == ".jpg" || back.Channels() != in.Channels() || back.Deep != in.Deep {
					return
				}
				if got := rows(t, back); !slices.Equal(got, all) {
					t.Error("the pixels differ")
				}
			})
		}
	}
}

func TestGreyStaysGreyInEveryFormatAndCloseInJPEG(t *testing.T) {
	for _, ending := range []string{".jpg", ".png", ".tif", ".bmp"} {
		back := rewritten(t, "grey.png", ending)
		if !back.Gray {
			t.Errorf("%s: grey became colour", ending)
		}
		compare(t, back.Info, rows(t, back), grey8, 2)
	}
	back := rewritten(t, "greya.png", ".png")
	compare(t, back.Info, rows(t, back), func(x, y int) []uint16 {
		p := greya(x, y)
		return []uint16{p[0], p[0], p[0], p[1]}
	}, 0)
	back = rewritten(t, "rgb.png", ".jpg")
	compare(t, back.Info, rows(t, back), rgb8, 4)
	back = rewritten(t, "greya.png", ".jpg")
	compare(t, back.Info, rows(t, back), grey8, 2)
}

// rewritten is a file of testdata, written in another format and opened again.
func rewritten(t *testing.T, file, ending string) *Reader {
	t.Helper()
	in, err := Open(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	path := filepath.Join(t.TempDir(), "out"+ending)
	out, err := Create(path, in.Info)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(out.Write(rows(t, in)), out.Commit(false)); err != nil {
		t.Fatal(err)
	}
	back, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { back.Close() })
	return back
}

func TestWhatIsNotedStaysAndOrientationIsSpent(t *testing.T) {
	for _, c := range []struct {
		from, to    string
		exif, other string // bytes that must be there
	}{
		{"turned.png", ".png", "Maker", "by hand"}, {"turned.png", ".jpg", "Maker", ""},
		{"turned.jpg", ".jpg", "Maker", ""}, {"turned.jpg", ".png", "Maker", ""},
		{"turned.webp", ".png", "Maker", ""}, {"deflate.tif", ".tif", "", "by hand"},
	} {
		back := rewritten(t, c.from, c.to)
		if !bytes.Contains(back.Exif, []byte(c.exif)) {
			t.Errorf("%s to %s: what the camera noted is gone", c.from, c.to)
		}
		if c.exif != "" && turnOf(back.Exif) != Upright {
			t.Errorf("%s to %s: it would be turned twice", c.from, c.to)
		}
		kept := slices.Clone(back.chunks)
		for _, tag := range back.tags {
			kept = append(kept, tag.data...)
		}
		if !bytes.Contains(kept, []byte(c.other)) {
			t.Errorf("%s to %s: %q is gone", c.from, c.to, c.other)
		}
		compare(t, back.Info, rows(t, back), rgb8, 8)
	}
}

func TestWhatCannotBeReadGetsOneSentence(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	claims := func(w, h uint32) []byte {
		data := slices.Clone(read("rgb.png"))
		binary.BigEndian.PutUint32(data[16:], w)
		binary.BigEndian.PutUint32(data[20:], h)
		binary.BigEndian.PutUint32(data[29:], crc32.ChecksumIEEE(data[12:29]))
		return data
	}
	flipped := slices.Clone(read("rgb.png"))
	flipped[60] ^= 0x10
	type file struct {
		what  string
		data  []byte
		want  error
		words string
	}
	files := []file{
		{"an empty file", nil, ErrDamaged, "empty"},
		{"a text", []byte("hello, this is no picture"), ErrFormat, ""},
		{"a CMYK JPEG", read("cmyk.jpg"), ErrKind, "CMYK"},
		{"a CMYK TIFF", read("cmyk.tif"), ErrKind, "CMYK"},
		{"a TIFF of floating-point numbers", read("float.tif"), ErrKind, ""},
		{"a TIFF of planes", read("planes.tif"), ErrKind, "plane"},
		{"a BigTIFF", read("big.tif"), ErrKind, "BigTIFF"},
		{"a TIFF of reversed bits", read("reversed.tif"), ErrKind, "reverse"},
		{"a fax in two dimensions", read("fax3_2d.tif"), ErrKind, "fax"},
		{"a WebP that moves", read("moving.webp"), ErrKind, "animation"},
		{"a header that claims 500 megapixels", claims(1<<15, 1<<14), ErrDamaged, "claims"},
		{"a header beyond reason", claims(1<<30, 1<<29), ErrTooLarge, ""},
		{"a changed byte", flipped, ErrDamaged, ""},
	}
	for _, name := range []string{"rgb.png", "rgb16.png", "interlaced.png", "palette.png", "rgb.jpg", "progressive.jpg", "plain.tif", "lzw.tif", "tiles.tif", "rgb16_lzw_strips.tif", "lossy.webp", "rgba.webp", "rgb.bmp", "frames.gif"} {
		data := read(name)
		cut := len(data) * 2 / 3
		if name == "frames.gif" { // its first picture ends before the middle
			cut = 300
		}
		files = append(files, file{name + " cut short", data[:cut], ErrDamaged, ""}, file{name + ", 20 bytes of it", data[:20], ErrDamaged, ""})
	}
	for _, c := range files {
		path := filepath.Join(t.TempDir(), "file.png")
		if err := os.WriteFile(path, c.data, 0o666); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path)
		if err == nil {
			err = r.Read(make([]uint16, r.H*r.W*r.Channels()))
			if err != nil {
				err = fmt.Errorf("%s: %w", path, err)
			}
			r.Close()
		}
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: the error is %v, want %v %q", c.what, err, c.want, c.words)
			continue
		}
		if !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q does not name the file in one line", c.what, err)
		}
		if im, _, err := Decode(c.data, MaxPixels); err == nil {
			t.Errorf("%s: decoded as %v", c.what, im.Bounds())
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none.png")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v, want fs.ErrNotExist", err)
	}
	if _, err := Open(t.TempDir()); !errors.Is(err, ErrFormat) {
		t.Errorf("a folder: %v, want ErrFormat", err)
	}
}

func TestDamageNeverPanics(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range cases {
		whole, err := os.ReadFile(filepath.Join("testdata", c.file))
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			data := slices.Clone(whole)
			for range 1 + r.IntN(4) {
				data[r.IntN(min(len(data), 600))] = byte(r.Uint32())
			}
			in, err := read(bytes.NewReader(data), int64(len(data)))
			if err == nil && in.W*in.H < 1<<22 {
				_ = in.Read(make([]uint16, in.W*in.H*in.Channels()))
			}
		}
	}
}

// Go's own decoders see the whole picture; what is read in parts must be the same.
func TestPartsAreWhatTheWholeIs(t *testing.T) {
	const w, h = 211, 397
	r := rand.New(rand.NewPCG(1, 2))
	kinds := []image.Image{image.NewRGBA(image.Rect(0, 0, w, h)), image.NewNRGBA(image.Rect(0, 0, w, h)), image.NewGray(image.Rect(0, 0, w, h)), image.NewGray16(image.Rect(0, 0, w, h)), image.NewNRGBA64(image.Rect(0, 0, w, h)), image.NewRGBA64(image.Rect(0, 0, w, h))}
	for _, im := range kinds {
		set := im.(interface{ Set(x, y int, c color.Color) })
		for y := range h {
			for x := range w {
				// Smooth in one half, so that encoders choose all filters, noise in the other.
				v := color.NRGBA64{uint16(x * 300), uint16(y * 600), uint16(x * y), 0xFFFF}
				if x > w/2 {
					v = color.NRGBA64{uint16(r.Uint32()), uint16(r.Uint32()), uint16(r.Uint32()), uint16(r.Uint32()) | 1}
				}
				if _, opaque := im.(*image.RGBA64); opaque || fmt.Sprintf("%T", im) == "*image.RGBA" {
					v.A = 0xFFFF
				}
				set.Set(x, y, v)
			}
		}
		whole := rows(t, Of(im))
		for _, format := range []string{".png", ".tif"} {
			path := filepath.Join(t.TempDir(), "x"+format)
			out, err := Create(path, InfoOf(im))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(out.Write(whole), out.Commit(false)); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := map[string]func(io.Reader) (image.Image, error){".png": png.Decode, ".tif": tiff.Decode}[format](f)
			f.Close()
			if err != nil {
				t.Fatalf("%T as %s: %v", im, format, err)
			}
			if got := rows(t, Of(decoded)); !slices.Equal(got, whole) {
				t.Errorf("%T as %s: Go's decoder sees something else", im, format)
			}
			in, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if !in.InParts {
				t.Errorf("%T as %s is not read in parts", im, format)
			}
			if got := rows(t, in); !slices.Equal(got, whole) {
				t.Errorf("%T as %s: read in parts it is something else", im, format)
			}
			in.Close()
		}
	}
}

func TestAnUnfinishedPictureLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.png", "a.jpg", "a.tif", "a.bmp"} {
		out, err := Create(filepath.Join(dir, name), Info{W: 30, H: 30})
		if err != nil {
			t.Fatal(err)
		}
		if err := out.Write(make([]uint16, 10*30*3)); err != nil {
			t.Fatal(err)
		}
		if err := out.Commit(true); err == nil {
			t.Errorf("%s: a third of a picture was accepted", name)
		}
		out.Abort()
		out.Abort()
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func TestAPictureThatIsThereIsReplacedOnlyWhenAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.png")
	save := func(v uint16, over bool) error {
		out, err := Create(path, Info{W: 1, H: 1, Gray: true})
		if err != nil {
			t.Fatal(err)
		}
		defer out.Abort()
		return errors.Join(out.Write([]uint16{v}), out.Commit(over))
	}
	if err := save(0, false); err != nil {
		t.Fatal(err)
	}
	if err := save(0xFFFF, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want fs.ErrExist", err)
	}
	r, _ := Open(path)
	if got := rows(t, r)[0]; got != 0 {
		t.Errorf("the picture was replaced by %d", got)
	}
	r.Close()
	if err := save(0xFFFF, true); err != nil {
		t.Errorf("replacing: %v", err)
	}
}

func TestNamesWithoutAnEncoderAreRefused(t *testing.T) {
	for name, words := range map[string]string{"a.webp": "no encoder", "a.gif": "256 colours", "a.txt": "must end in", "a": "must end in"} {
		if _, err := Create(filepath.Join(t.TempDir(), name), Info{W: 1, H: 1}); !errors.Is(err, ErrWrite) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want ErrWrite with %q", name, err, words)
		}
	}
}

func TestPictureNames(t *testing.T) {
	for name, want := range map[string]bool{
		"a.png": true, "A.PNG": true, "dir/b.jpg": true, "c.JPEG": true, "d.tif": true, "d.TIFF": true, "e.webp": true, "f.bmp": true, "g.gif": true,
		"a.txt": false, "png": false, ".hidden.png": false, ".unfinished-a.png-1": false, "manifest.json": false, ".png": false,
	} {
		if got := Is(name); got != want {
			t.Errorf("Is(%q) is %v, want %v", name, got, want)
		}
	}
}

// A JPEG whose colours are sampled in a way that Go's decoder does not know is not
// damaged, and one without colours has no sampling, whatever it says.
func TestAJPEGOfUnusualSamplingIsNotCalledDamaged(t *testing.T) {
	for name, c := range map[string]struct {
		sampling []byte
		want     error
	}{
		"rgb.jpg":   {[]byte{0x22, 0x22, 0x22}, ErrKind},
		"rgb.jpg ":  {[]byte{0x11, 0x21, 0x21}, ErrKind},
		"rgb.jpg  ": {[]byte{0x31, 0x11, 0x11}, ErrKind},
		"grey.jpg":  {[]byte{0x22}, nil},
	} {
		raw, err := os.ReadFile("testdata/" + strings.TrimSpace(name))
		if err != nil {
			t.Fatal(err)
		}
		frame := bytes.Index(raw, []byte{0xFF, 0xC0})
		for i, s := range c.sampling {
			raw[frame+11+3*i] = s
		}
		if _, _, err := Decode(raw, MaxPixels); !errors.Is(err, c.want) || errors.Is(err, ErrDamaged) {
			t.Errorf("%s with a sampling of %x: %v, want %v", name, c.sampling, err, c.want)
		}
	}
}
