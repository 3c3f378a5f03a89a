// Package picture reads and writes the pictures that people have: PNG, JPEG,
// TIFF, WebP, BMP and GIF. It goes through them row by row, so that a picture
// larger than memory can be worked on where its format allows that: PNG and TIFF
// are read and written in parts; JPEG is written in parts.
//
// Samples are 16 bits wide, not multiplied by alpha, whatever the file has;
// [Info] says how many of them a pixel has and what the file was. Colour
// profiles and what cameras and people noted travel along with it.
//
//	in, err := picture.Open("scan.tif")
//	defer in.Close()
//	out, err := picture.Create("copy.png", in.Info)
//	defer out.Abort()
//	row := make([]uint16, in.W*in.Channels())
//	for range in.H {
//		err = in.Read(row)
//		err = out.Write(row)
//	}
//	err = out.Commit()
//
// The decoders and encoders are those of Go and golang.org/x/image. Two things
// these lack are here, because without them a whole picture would be in memory:
// undoing PNG's row filters, and TIFF's directory.
package picture

import (
	"errors"
	"path/filepath"
	"strings"
)

var (
	// ErrFormat is returned when a file's content is no picture that is read here.
	ErrFormat = errors.New("not a PNG, JPEG, TIFF, WebP, BMP or GIF picture")

	// ErrDamaged is returned when a file begins as a picture but cannot be
	// decoded to its end.
	ErrDamaged = errors.New("damaged or cut short")

	// ErrTooLarge is returned when a header claims more pixels than are read, or
	// a side of zero.
	ErrTooLarge = errors.New("size beyond what is read")

	// ErrKind is returned for a picture of a kind that is not read, such as CMYK.
	ErrKind = errors.New("a kind of picture that is not read")

	// ErrWrite is returned for a name whose format cannot be written.
	ErrWrite = errors.New("cannot be written")
)

// Info describes a picture as it is meant to be seen, upright.
type Info struct {
	W, H   int
	Format string // of the file: "png", "jpeg", "tiff", "webp", "bmp" or "gif"; "" of none
	Gray   bool   // one sample of colour and not three
	Alpha  bool   // one more sample, the last; 0 is transparent
	Deep   bool   // 16 bits in a sample and not 8

	Profile []byte // ICC; nil: none, which is taken for sRGB
	Exif    []byte // what a camera noted, a TIFF structure; its orientation is 1
	XMP     []byte // what other programs noted, XML

	chunks []byte // of PNG: texts, resolution, colour space; whole chunks in their order
	tags   []tag  // of TIFF, likewise
}

// Channels is how many samples a pixel has: 1 to 4.
func (i Info) Channels() int { return i.Colours() + btoi(i.Alpha) }

// Colours is how many samples of a pixel are colour: 1 or 3.
func (i Info) Colours() int {
	if i.Gray {
		return 1
	}
	return 3
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// formats are the endings of names that pictures have.
var formats = map[string]string{
	".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".tif": "tiff", ".tiff": "tiff", ".webp": "webp", ".bmp": "bmp", ".gif": "gif",
}

// FormatOf is the format that a name's ending stands for, in small letters or
// capitals, "" for none.
func FormatOf(name string) string { return formats[strings.ToLower(filepath.Ext(name))] }

// CanWrite says whether pictures of a format can be written: all but WebP, for
// which there is no encoder in Go, and GIF, which has room for 256 colours.
func CanWrite(format string) bool {
	switch format {
	case "png", "jpeg", "tiff", "bmp":
		return true
	}
	return false
}

// Is says whether the name of a file ends as that of a picture. Names that begin
// with a dot are never pictures: unfinished and hidden files have such names.
func Is(name string) bool {
	return FormatOf(name) != "" && !strings.HasPrefix(filepath.Base(name), ".")
}
