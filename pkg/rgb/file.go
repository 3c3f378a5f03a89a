package rgb

import (
	"bufio"
	"fmt"
	"image/png"
	"io"
	"os"

	"rekindle/pkg/durable"
	"rekindle/pkg/picture"
)

// MaxPixels is the largest picture that [Load] accepts, in pixels. A damaged or
// hostile header can claim more than any memory holds.
const MaxPixels = 1 << 28

// Load reads a file of any kind that package picture reads, see [FromImage] for
// what becomes of grey, palette, transparent and 16-bit pictures. A photograph
// that is marked as turned (EXIF orientation) is turned upright. The content
// decides, not the name. Errors name the file; they wrap those of package picture
// ([picture.ErrFormat], [picture.ErrDamaged], [picture.ErrTooLarge],
// [picture.ErrKind]) or the operating system's error.
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

// Size reads the width and height that [Load] would return, without decoding the
// picture.
func Size(path string) (w, h int, err error) { return picture.Size(path) }

// Decode is [Load] for a file already in memory.
func Decode(data []byte) (*Image, error) {
	src, turn, err := picture.Decode(data, MaxPixels)
	if err != nil {
		return nil, err
	}
	return upright(FromImage(src), turn), nil
}

// upright returns the picture as it is meant to be seen.
func upright(im *Image, turn picture.Turn) *Image {
	if turn == picture.Upright {
		return im
	}
	w, h := im.W, im.H
	if turn.SwapsSides() {
		w, h = h, w
	}
	out := New(w, h)
	for y := range h {
		for x := range w {
			sx, sy := turn.Stored(x, y, im.W, im.H)
			copy(out.Pix[(y*w+x)*3:][:3], im.Pix[(sy*im.W+sx)*3:][:3])
		}
	}
	return out
}

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
