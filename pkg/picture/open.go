package picture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// MaxPixels is the largest picture that is decoded as a whole. A damaged or
// hostile header can claim more than any memory holds.
const MaxPixels = 1 << 29

// maxSide bounds pictures that are read in parts: memory is needed for rows.
const maxSide = 1 << 20

// Reader reads the rows of a picture, upright, from the top.
type Reader struct {
	Info
	InParts bool // memory for a part of the picture is enough

	rows func(rows []uint16) error
	file io.Closer
	read int
}

// Close closes the file.
func (r *Reader) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// Read fills rows with the next len(rows)/(W*Channels()) rows. The error is
// io.EOF where there are not so many left; it wraps [ErrDamaged] where the file
// turns out to be.
func (r *Reader) Read(rows []uint16) error {
	n := len(rows) / (r.W * r.Channels())
	if r.read+n > r.H {
		return io.EOF
	}
	r.read += n
	return r.rows(rows)
}

// Open reads a file's header, and all of it where its format asks for that. The
// content decides, not the name. Errors name the file; they wrap [ErrFormat],
// [ErrKind], [ErrDamaged], [ErrTooLarge] or the operating system's error.
func Open(path string) (*Reader, error) {
	f, size, err := open(path)
	if err != nil {
		return nil, err
	}
	r, err := read(f, size)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("picture: %s: %w", path, err)
	}
	r.file = f
	return r, nil
}

// Size is the width and height of a file's picture, upright, without decoding it.
func Size(path string) (w, h int, err error) {
	f, size, err := open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	h0, err := headerOf(f, size)
	if err != nil {
		return 0, 0, fmt.Errorf("picture: %s: %w", path, err)
	}
	return h0.W, h0.H, nil
}

func open(path string) (*os.File, int64, error) {
	// Asked first, because opening a named pipe would wait for its other end.
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, fmt.Errorf("picture: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("picture: %s: %w: it is no regular file", path, ErrFormat)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("picture: %w", err)
	}
	return f, info.Size(), nil
}

// Decode decodes a whole picture of at most max pixels. turn says how it is to
// be turned.
func Decode(data []byte, max int) (im image.Image, turn Turn, err error) {
	file := bytes.NewReader(data)
	h, err := headerOf(file, file.Size())
	if err != nil {
		return nil, Upright, err
	}
	im, err = h.decode(file, file.Size(), max)
	return im, h.turn, err
}

// header is what a file's beginning says.
type header struct {
	Info
	config image.Config
	turn   Turn
	tiff   *directory // of a TIFF
	png    *pngHeader // of a PNG
	cut    bool       // of a WebP: pixels are said to lie behind the end of the file
}

// headerOf reads what a file says of its picture, and refuses kinds that are not
// read.
func headerOf(f io.ReaderAt, size int64) (h header, err error) {
	h.turn = Upright
	head := make([]byte, min(16, size))
	if _, err := f.ReadAt(head, 0); err != nil && err != io.EOF {
		return h, err
	}
	if len(head) == 0 {
		return h, fmt.Errorf("%w: the file is empty", ErrDamaged)
	}
	config := func(decode func(io.Reader) (image.Config, error)) (image.Config, error) {
		return decode(bufio.NewReader(io.NewSectionReader(f, 0, size)))
	}
	switch {
	case bytes.HasPrefix(head, []byte(pngSignature)):
		h.Format = "png"
		if h.config, err = config(png.DecodeConfig); err == nil {
			err = h.readPNG(f, size)
		}
	case bytes.HasPrefix(head, []byte{0xFF, 0xD8}):
		h.Format = "jpeg"
		h.readJPEG(io.NewSectionReader(f, 0, size))
		if h.config, err = config(jpeg.DecodeConfig); err == nil && h.config.ColorModel == cmyk {
			return h, errCMYK
		}
	case bytes.HasPrefix(head, []byte("II*\x00")), bytes.HasPrefix(head, []byte("MM\x00*")):
		h.Format = "tiff"
		if err = h.readTIFF(f, size); err == nil {
			h.config, err = tiff.DecodeConfig(h.tiff.whole())
		}
	case bytes.HasPrefix(head, []byte("II+\x00")), bytes.HasPrefix(head, []byte("MM\x00+")):
		return h, fmt.Errorf("%w: BigTIFF; save it as a TIFF of less than 4 GB or as PNG", ErrKind)
	case len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP":
		h.Format = "webp"
		if err = h.readWebP(f, size); err == nil {
			h.config, err = config(webp.DecodeConfig)
		}
	case bytes.HasPrefix(head, []byte("BM")):
		h.Format = "bmp"
		h.config, err = config(bmp.DecodeConfig)
	case bytes.HasPrefix(head, []byte("GIF8")):
		h.Format = "gif"
		h.config, err = config(gif.DecodeConfig)
	default:
		return h, ErrFormat
	}
	if err != nil {
		return h, failure(err)
	}
	h.W, h.H = h.config.Width, h.config.Height
	if h.W < 1 || h.H < 1 {
		return h, fmt.Errorf("%w: %d x %d pixels", ErrTooLarge, h.W, h.H)
	}
	if h.turn.SwapsSides() {
		h.W, h.H = h.H, h.W
	}
	return h, nil
}

var cmyk = image.NewCMYK(image.Rectangle{}).ColorModel()

var errCMYK = fmt.Errorf("%w: CMYK, the colours of a printing press; convert it to RGB first", ErrKind)

// failure tells what a decoder cannot do from what a file does wrong.
func failure(err error) error {
	var already [4]bool
	for i, kind := range []error{ErrKind, ErrDamaged, ErrTooLarge, ErrFormat} {
		already[i] = errors.Is(err, kind)
	}
	if already[0] || already[1] || already[2] || already[3] {
		return err
	}
	if strings.Contains(err.Error(), "sampling") && !errors.Is(err, io.ErrUnexpectedEOF) { // two errors of Go's JPEG decoder, one of which calls the file wrong
		return fmt.Errorf("%w: a JPEG whose colours are sampled in an unusual way (%v); save it as PNG with another program first", ErrKind, err)
	}
	var (
		p png.UnsupportedError
		j jpeg.UnsupportedError
		t tiff.UnsupportedError
	)
	if errors.As(err, &p) || errors.As(err, &j) || errors.As(err, &t) || errors.Is(err, bmp.ErrUnsupported) {
		return fmt.Errorf("%w (%v)", ErrKind, err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends too early", ErrDamaged)
	}
	return fmt.Errorf("%w: %v", ErrDamaged, err)
}

// unpacking is how many bytes deflate makes of one at most (zlib's documentation,
// "Maximum Compression Factor").
const unpacking = 1032

// mostPixels is how many pixels a file of some size is believed to have. Decoders
// take memory for all that a header claims before they read the first pixel.
func mostPixels(format string, size int64) int64 {
	switch format {
	case "jpeg": // a bit for each block of 8 x 8
		return 512 * size
	case "gif": // LZW: 12 bits for 4096 pixels
		return 4096 * 8 / 12 * size
	case "bmp": // not compressed
		return 8 * size
	case "png": // deflate, a bit for a pixel
		return 8 * unpacking * size
	}
	// TIFF's fax codes and WebP have no bound: a plain picture of any size takes a few
	// bytes. Beyond these 16 million pixels are believed.
	return max(1<<24, 1<<16*size)
}

// decode decodes the whole picture.
func (h *header) decode(f io.ReaderAt, size int64, max int) (im image.Image, err error) {
	if h.W > max/h.H {
		return nil, fmt.Errorf("%w: %d x %d pixels, the limit is %d in all", ErrTooLarge, h.W, h.H, max)
	}
	if h.png != nil {
		if err := h.png.believable(size); err != nil {
			return nil, err
		}
	}
	if most := mostPixels(h.Format, size); int64(h.W)*int64(h.H) > most {
		return nil, fmt.Errorf("%w: its header claims %d x %d pixels, more than %d bytes can hold", ErrDamaged, h.W, h.H, size)
	}
	if h.cut { // the decoder would make room for them
		return nil, fmt.Errorf("%w: its pixels end before the file says", ErrDamaged)
	}
	// Decoders of others, on files of others.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	from := bufio.NewReaderSize(io.NewSectionReader(f, 0, size), 1<<16)
	switch h.Format {
	case "png":
		im, err = png.Decode(from)
	case "jpeg":
		im, err = jpeg.Decode(from)
	case "tiff":
		im, err = h.tiff.decode()
	case "webp":
		im, err = webp.Decode(from)
		im = toRGB(im)
	case "bmp":
		im, err = bmp.Decode(from)
	case "gif":
		im, err = gif.Decode(from)
	}
	if err != nil {
		return nil, failure(err)
	}
	if _, ok := im.(*image.CMYK); ok {
		return nil, errCMYK
	}
	return im, nil
}

// read begins to read the rows of a picture.
func read(f io.ReaderAt, size int64) (*Reader, error) {
	h, err := headerOf(f, size)
	if err != nil {
		return nil, err
	}
	if h.W > maxSide || h.H > maxSide {
		return nil, fmt.Errorf("%w: %d x %d pixels, the limit is %d for a side", ErrTooLarge, h.W, h.H, maxSide)
	}
	if h.turn == Upright {
		r := &Reader{Info: h.Info, InParts: true}
		switch {
		case h.png != nil && h.png.inRows():
			r.rows, err = h.readPNGRows(&r.Info, f, size)
			return r, err
		case h.tiff != nil && h.tiff.inParts():
			r.rows, err = h.readTIFFParts(&r.Info)
			return r, err
		}
	}
	im, err := h.decode(f, size, MaxPixels)
	if err != nil {
		return nil, err
	}
	of := InfoOf(im)
	info := h.Info
	info.Gray, info.Alpha, info.Deep = of.Gray, of.Alpha, of.Deep
	if of.W != h.config.Width || of.H != h.config.Height {
		return nil, fmt.Errorf("%w: a picture of %d x %d in a file that says %d x %d", ErrDamaged, of.W, of.H, h.config.Width, h.config.Height)
	}
	return &Reader{Info: info, rows: rowsOf(im, info, h.turn)}, nil
}
