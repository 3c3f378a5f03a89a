package rgb

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"os"

	"rekindle/pkg/durable"
)

// MaxPixels is the largest picture that [Load] accepts, in pixels. A damaged or
// hostile header can claim more than any memory holds.
const MaxPixels = 1 << 28

// ErrFormat is returned when a file's content is neither PNG nor JPEG.
var ErrFormat = errors.New("not a PNG or JPEG picture")

// ErrDamaged is returned when a file begins as a picture but cannot be decoded
// to its end.
var ErrDamaged = errors.New("damaged or cut short")

// ErrTooLarge is returned when a header claims more than [MaxPixels], or a side
// of zero.
var ErrTooLarge = errors.New("size beyond what is read")

// Load reads a PNG or JPEG file, see [FromImage] for what becomes of grey,
// palette, transparent and 16-bit pictures. A photograph that its camera marked
// as turned (EXIF orientation) is turned upright. The content decides, not the
// name. Errors name the file; they wrap [ErrFormat], [ErrDamaged],
// [ErrTooLarge] or the operating system's error.
func Load(path string) (*Image, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("rgb: %w", err)
	}
	im, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("rgb: %s: %w", path, err)
	}
	return im, nil
}

// Size reads the width and height that [Load] would return from the file's
// first bytes, without decoding the picture.
func Size(path string) (w, h int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, fmt.Errorf("rgb: %w", err)
	}
	defer f.Close()
	// Cameras put preview pictures before the size; a JPEG segment has at most 64 KiB, a few of them make a header.
	head := make([]byte, 1<<18)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return 0, 0, fmt.Errorf("rgb: %w", err)
	}
	head = head[:n]
	whole := io.MultiReader(bytes.NewReader(head), f)
	cfg, err := header(whole, head)
	if err != nil {
		return 0, 0, fmt.Errorf("rgb: %s: %w", path, err)
	}
	if orientation(head).swapsSides() {
		return cfg.Height, cfg.Width, nil
	}
	return cfg.Width, cfg.Height, nil
}

// Decode is [Load] for a file already in memory.
func Decode(data []byte) (*Image, error) {
	if _, err := header(bytes.NewReader(data), data); err != nil {
		return nil, err
	}
	var src image.Image
	var err error
	if isPNG(data) {
		src, err = png.Decode(bytes.NewReader(data))
	} else {
		src, err = jpeg.Decode(bytes.NewReader(data))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return orientation(data).upright(FromImage(src)), nil
}

// header reads the size and refuses what cannot be decoded. head is how the
// file begins.
func header(r io.Reader, head []byte) (cfg image.Config, err error) {
	switch {
	case len(head) == 0:
		return cfg, fmt.Errorf("%w: the file is empty", ErrDamaged)
	case isPNG(head):
		cfg, err = png.DecodeConfig(bufio.NewReader(r))
	case isJPEG(head):
		cfg, err = jpeg.DecodeConfig(bufio.NewReader(r))
	default:
		return cfg, ErrFormat
	}
	if err != nil {
		return cfg, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	if cfg.Width < 1 || cfg.Height < 1 || cfg.Width > MaxPixels/cfg.Height {
		return cfg, fmt.Errorf("%w: %d x %d pixels, the limit is %d in all", ErrTooLarge, cfg.Width, cfg.Height, MaxPixels)
	}
	return cfg, nil
}

func isPNG(head []byte) bool  { return bytes.HasPrefix(head, []byte("\x89PNG\r\n\x1a\n")) }
func isJPEG(head []byte) bool { return bytes.HasPrefix(head, []byte{0xFF, 0xD8}) }

// SavePNG writes the picture as an 8-bit RGB PNG file. The file appears whole
// or not at all, and an older one of that name stays until then.
func (im *Image) SavePNG(path string) error {
	f, err := durable.Create(path)
	if err != nil {
		return fmt.Errorf("rgb: %w", err)
	}
	defer f.Abort()
	if err := im.WritePNG(f); err != nil {
		return fmt.Errorf("rgb: %s: %w", path, err)
	}
	if err := f.Commit(); err != nil {
		return fmt.Errorf("rgb: %w", err)
	}
	return nil
}

// WritePNG writes the picture as an 8-bit RGB PNG stream.
func (im *Image) WritePNG(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<16)
	// Best speed: noise does not compress, and on photographs the best level saves a tenth for several times the work.
	enc := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := enc.Encode(out, im.ToImage()); err != nil {
		return err
	}
	return out.Flush()
}
