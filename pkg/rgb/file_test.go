package rgb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/picture"
)

func pngBytes(t *testing.T, im image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegBytes(t *testing.T, im image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func write(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "picture.png")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestASavedPictureLoadsUnchanged(t *testing.T) {
	im := ramp(37, 23)
	path := filepath.Join(t.TempDir(), "a.png")
	if err := im.SavePNG(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.W != 37 || got.H != 23 || !slices.Equal(got.Pix, im.Pix) {
		t.Error("the picture read back is not the one saved")
	}
	if w, h, err := Size(path); err != nil || w != 37 || h != 23 {
		t.Errorf("Size says %d x %d, %v, want 37 x 23", w, h, err)
	}
}

func TestEveryKindOfPNGBecomesRGB(t *testing.T) {
	gray := image.NewGray(image.Rect(0, 0, 2, 1))
	gray.Pix = []uint8{10, 200}
	gray16 := image.NewGray16(image.Rect(0, 0, 2, 1))
	gray16.SetGray16(0, 0, color.Gray16{Y: 10*257 + 100}) // nearer to 10
	gray16.SetGray16(1, 0, color.Gray16{Y: 200*257 + 200})
	straight := image.NewNRGBA(image.Rect(0, 0, 2, 1))
	straight.Pix = []uint8{1, 2, 3, 0, 4, 5, 6, 128}
	deep := image.NewNRGBA64(image.Rect(0, 0, 2, 1))
	deep.SetNRGBA64(0, 0, color.NRGBA64{R: 257, G: 514, B: 771, A: 9})
	deep.SetNRGBA64(1, 0, color.NRGBA64{R: 4 * 257, G: 5 * 257, B: 6 * 257, A: 65535})
	palette := image.NewPaletted(image.Rect(0, 0, 2, 1), color.Palette{color.NRGBA{7, 8, 9, 255}, color.NRGBA{1, 2, 3, 0}})
	palette.Pix = []uint8{0, 1}
	for _, c := range []struct {
		name string
		src  image.Image
		want []uint8
	}{
		{"grey", gray, []uint8{10, 10, 10, 200, 200, 200}},
		{"16-bit grey", gray16, []uint8{10, 10, 10, 201, 201, 201}},
		{"transparent", straight, []uint8{1, 2, 3, 4, 5, 6}},
		{"16-bit transparent", deep, []uint8{1, 2, 3, 4, 5, 6}},
		{"palette", palette, []uint8{7, 8, 9, 1, 2, 3}},
	} {
		got, err := Load(write(t, pngBytes(t, c.src)))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if !slices.Equal(got.Pix, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got.Pix, c.want)
		}
	}
}

func TestAPictureCutOutOfALargerOneConverts(t *testing.T) {
	im := ramp(9, 8)
	whole := im.ToImage().(*image.RGBA)
	got := FromImage(whole.SubImage(image.Rect(2, 3, 6, 8)))
	if want := im.Crop(2, 3, 4, 5); got.W != 4 || got.H != 5 || !slices.Equal(got.Pix, want.Pix) {
		t.Error("converting a part differs from cropping that part")
	}
}

func TestJPEGInColourAndGreyLoads(t *testing.T) {
	flat := New(16, 16)
	for i := range 256 {
		flat.Pix[3*i], flat.Pix[3*i+1], flat.Pix[3*i+2] = 200, 90, 40
	}
	got, err := Load(write(t, jpegBytes(t, flat.ToImage())))
	if err != nil {
		t.Fatal(err)
	}
	for c, want := range []int{200, 90, 40} {
		if d := int(got.Pix[3*100+c]) - want; d < -3 || d > 3 {
			t.Errorf("channel %d is %d, want about %d", c, got.Pix[3*100+c], want)
		}
	}
	gray := image.NewGray(image.Rect(0, 0, 8, 8))
	for i := range gray.Pix {
		gray.Pix[i] = 77
	}
	got, err = Load(write(t, jpegBytes(t, gray)))
	if err != nil {
		t.Fatal(err)
	}
	if p := got.Pix[:3]; p[0] != 77 || p[1] != 77 || p[2] != 77 {
		t.Errorf("a grey JPEG of 77 became %v", p)
	}
}

// withOrientation inserts an EXIF segment right after the start marker.
func withOrientation(data []byte, order binary.ByteOrder, value uint16) []byte {
	tiff := make([]byte, 8+2+12+4)
	copy(tiff, "II*\x00")
	if order == binary.BigEndian {
		copy(tiff, "MM\x00*")
	}
	order.PutUint32(tiff[4:], 8)
	order.PutUint16(tiff[8:], 1)
	order.PutUint16(tiff[10:], 0x0112)
	order.PutUint16(tiff[12:], 3)
	order.PutUint32(tiff[14:], 1)
	order.PutUint16(tiff[18:], value)
	body := append([]byte("Exif\x00\x00"), tiff...)
	seg := []byte{0xFF, 0xE1, 0, 0}
	binary.BigEndian.PutUint16(seg[2:], uint16(len(body)+2))
	return slices.Concat(data[:2], seg, body, data[2:])
}

func TestAPhotographIsTurnedUprightByItsOrientationTag(t *testing.T) {
	// Quarters of different brightness: a b / c d, 32 wide, 16 high.
	im := New(32, 16)
	levels := map[string]uint8{"a": 20, "b": 90, "c": 160, "d": 230}
	for y := range 16 {
		for x := range 32 {
			name := [2][2]string{{"a", "b"}, {"c", "d"}}[y/8][x/16]
			v := levels[name]
			copy(im.Pix[(y*32+x)*3:], []uint8{v, v, v})
		}
	}
	plain := jpegBytes(t, im.ToImage())
	// What is seen, quarters in reading order; EXIF 2.32, table 4.6.4.A.
	for value, want := range []string{1: "abcd", 2: "badc", 3: "dcba", 4: "cdab", 5: "acbd", 6: "cadb", 7: "dbca", 8: "bdac", 9: "abcd"} {
		if value == 0 {
			continue
		}
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			path := write(t, withOrientation(plain, order, uint16(value)))
			got, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			wantW, wantH := 32, 16
			if value >= 5 && value <= 8 {
				wantW, wantH = 16, 32
			}
			w, h, err := Size(path)
			if err != nil || w != wantW || h != wantH || got.W != wantW || got.H != wantH {
				t.Fatalf("orientation %d: %d x %d, Size says %d x %d (%v), want %d x %d", value, got.W, got.H, w, h, err, wantW, wantH)
			}
			seen := ""
			for _, q := range [][2]int{{got.W / 4, got.H / 4}, {got.W * 3 / 4, got.H / 4}, {got.W / 4, got.H * 3 / 4}, {got.W * 3 / 4, got.H * 3 / 4}} {
				v := int(got.Pix[(q[1]*got.W+q[0])*3])
				for name, l := range levels {
					if v > int(l)-10 && v < int(l)+10 {
						seen += name
					}
				}
			}
			if seen != want {
				t.Errorf("orientation %d: quarters are seen as %q, want %q", value, seen, want)
			}
		}
	}
}

func TestAStrangeOrientationTagDoesNotMakeAPhotographUnreadable(t *testing.T) {
	plain := jpegBytes(t, ramp(8, 8).ToImage())
	whole := withOrientation(plain, binary.LittleEndian, 6)
	for at := 12; at < 38; at++ {
		broken := slices.Clone(whole)
		broken[at] = 0xFF
		if _, err := Load(write(t, broken)); err != nil {
			t.Errorf("with byte %d of the EXIF segment broken: %v", at, err)
		}
	}
}

func TestWhatCannotBeReadGetsOneSentenceThatNamesTheFile(t *testing.T) {
	whole := pngBytes(t, ramp(64, 64).ToImage())
	huge := slices.Clone(whole)
	binary.BigEndian.PutUint32(huge[16:], 1<<30)
	binary.BigEndian.PutUint32(huge[20:], 1<<29)
	binary.BigEndian.PutUint32(huge[29:], crc32.ChecksumIEEE(huge[12:29])) // of the header chunk
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"an empty file", nil, picture.ErrDamaged},
		{"a text file", []byte("hello"), picture.ErrFormat},
		{"half a PNG", whole[:len(whole)/2], picture.ErrDamaged},
		{"a PNG's first bytes", whole[:10], picture.ErrDamaged},
		{"half a JPEG", jpegBytes(t, ramp(64, 64).ToImage())[:300], picture.ErrDamaged},
		{"a size beyond reason", huge, picture.ErrTooLarge},
	} {
		path := write(t, c.data)
		_, err := Load(path)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error is %v, want %v", c.name, err, c.want)
			continue
		}
		if !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q does not name the file in one line", c.name, err)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.png")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gives %v, want fs.ErrNotExist", err)
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("a folder was read as a picture")
	}
}

func TestAFailedSaveLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a.png", "x"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := ramp(4, 4).SavePNG(filepath.Join(dir, "a.png")); err == nil {
		t.Error("saving over a folder succeeded")
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("the folder holds %d entries, want only the one from before", len(entries))
	}
}
