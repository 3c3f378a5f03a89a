package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"

	"rekindle/pkg/durable"
)

// jpegQuality is where the loss is below what restoring leaves of noise.
const jpegQuality = 95

// Writer writes the rows of a picture into a file that is whole or not there.
type Writer struct {
	Info
	// Lost says what of the picture the format has no room for, in words, "" for
	// nothing.
	Lost string

	file  *durable.File
	write func(rows []uint16) error
	close func() error
	rows  int
}

// Create begins to write a picture of info's kind, in the format that path's
// ending stands for; [ErrWrite] is returned where there is none that is written.
// All kinds of info fit into PNG and TIFF. JPEG and BMP have 8 bits and no alpha:
// what is lost is in Lost.
func Create(path string, info Info) (*Writer, error) {
	format := FormatOf(path)
	switch {
	case format == "":
		return nil, fmt.Errorf("picture: %s %w: its name must end in .png, .jpg, .tif or .bmp", path, ErrWrite)
	case format == "gif":
		return nil, fmt.Errorf("picture: %s %w: GIF has room for 256 colours; write PNG", path, ErrWrite)
	case !CanWrite(format):
		return nil, fmt.Errorf("picture: %s %w: there is no encoder for it in Go; write PNG", path, ErrWrite)
	}
	if format == "jpeg" && max(info.W, info.H) > 65535 {
		return nil, fmt.Errorf("picture: %s %w: a side of a JPEG has at most 65535 pixels", path, ErrWrite)
	}
	f, err := durable.Create(path)
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	w := &Writer{Info: info, file: f}
	if format != info.Format {
		w.chunks, w.tags = nil, nil
	}
	if info.Deep && format != "png" && format != "tiff" {
		w.Deep, w.Lost = false, "16 bits became 8"
	}
	from := w.Info
	if info.Alpha && format != "png" && format != "tiff" {
		from.Alpha = false
		if w.Lost != "" {
			w.Lost += ", "
		}
		w.Lost += "transparency is gone"
	}
	switch format {
	case "tiff":
		t, err := newTIFF(f, w.Info)
		if err != nil {
			f.Abort()
			return nil, err
		}
		w.write, w.close = t.Write, t.Close
	case "png":
		out := &injector{to: f, after: pngHead, what: w.pngChunks()}
		w.encode(from, func(im image.Image) error {
			// Best speed: noise does not compress, and on photographs the best level saves a tenth for several times the work.
			return (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(out, im)
		})
	case "jpeg":
		out := &injector{to: f, after: 2, what: w.jpegSegments()}
		w.asWhole(from.Gray, from, func(im image.Image) error {
			return jpeg.Encode(out, im, &jpeg.Options{Quality: jpegQuality})
		})
	case "bmp":
		w.asWhole(true, from, func(im image.Image) error { return bmp.Encode(f, im) })
	}
	return w, nil
}

// asWhole collects a picture where its encoder wants the whole of it: BMP's goes
// from the last row up, JPEG's knows a grey picture by Go's type alone.
func (w *Writer) asWhole(whole bool, i Info, encode func(im image.Image) error) {
	if !whole {
		w.encode(i, encode)
		return
	}
	im, put := i.Image()
	all, next := w.Info, 0
	w.write = func(rows []uint16) error {
		put(next, without(rows, all, i))
		next += len(rows) / (i.W * all.Channels())
		return nil
	}
	w.close = func() error { return encode(im) }
}

// without leaves alpha out where to has none.
func without(rows []uint16, from, to Info) []uint16 {
	if from.Alpha == to.Alpha {
		return rows
	}
	var out []uint16
	for at := 0; at < len(rows); at += from.Channels() {
		out = append(out, rows[at:at+to.Channels()]...)
	}
	return out
}

// Write takes the next len(rows)/(W*Channels()) rows.
func (w *Writer) Write(rows []uint16) error {
	w.rows += len(rows) / (w.W * w.Channels())
	if err := w.write(rows); err != nil {
		return fmt.Errorf("picture: %w", err)
	}
	return nil
}

// Commit finishes the file and gives it its name, in place of an older one only
// if over says so; else the error is fs.ErrExist where there is one.
func (w *Writer) Commit(over bool) error {
	if w.rows != w.H {
		return fmt.Errorf("picture: %d rows of %d were written", w.rows, w.H)
	}
	err := w.close()
	w.close = nil
	if err == nil {
		if over {
			err = w.file.Commit()
		} else {
			err = w.file.CommitNew()
		}
	}
	if err != nil {
		w.file.Abort()
		return fmt.Errorf("picture: %w", err)
	}
	return nil
}

// Abort throws the unfinished file away. After Commit it does nothing.
func (w *Writer) Abort() {
	if w.close != nil {
		w.file.Abort() // before the encoder ends: it shall not write on
		_ = w.close()
		w.close = nil
	}
}

// encode runs one of Go's encoders beside the caller, on a picture whose rows are
// there when it asks for them.
func (w *Writer) encode(i Info, encode func(im image.Image) error) {
	s := &scroll{info: w.Info, kind: i, rows: make(chan []uint16), taken: make(chan struct{}), done: make(chan struct{})}
	var result error
	go func() {
		defer close(s.done)
		defer func() {
			if r := recover(); r != nil {
				if result, _ = r.(error); result == nil {
					result = fmt.Errorf("%v", r)
				}
			}
		}()
		result = encode(s)
	}()
	w.write = func(rows []uint16) error {
		select {
		case s.rows <- rows:
			<-s.taken
			return nil
		case <-s.done:
			return result
		}
	}
	w.close = func() error {
		close(s.rows)
		<-s.done
		return result
	}
}

// scroll is a picture of which a few rows are there, those that an encoder looks
// at, which goes down row by row, or, as JPEG's, by 16 rows.
type scroll struct {
	info, kind  Info // of the rows, and what of them is to be seen
	rows        chan []uint16
	taken, done chan struct{}

	first  int // row of the window's first
	window []uint16
}

// errUnfinished ends an encoder whose rows do not come any more.
var errUnfinished = errors.New("not all rows were written")

// keptRows is how far up encoders look.
const keptRows = 16

func (s *scroll) Bounds() image.Rectangle { return image.Rect(0, 0, s.info.W, s.info.H) }

func (s *scroll) Opaque() bool { return !s.kind.Alpha }

func (s *scroll) ColorModel() color.Model {
	switch {
	case s.kind.Gray && !s.kind.Alpha && s.kind.Deep:
		return color.Gray16Model
	case s.kind.Gray && !s.kind.Alpha:
		return color.GrayModel
	case s.kind.Deep:
		return color.NRGBA64Model
	}
	return color.NRGBAModel
}

func (s *scroll) At(x, y int) color.Color {
	ch := s.info.Channels()
	line := s.info.W * ch
	for y >= s.first+len(s.window)/line {
		rows, ok := <-s.rows
		if !ok {
			panic(errUnfinished)
		}
		if drop := min(y-keptRows-s.first, len(s.window)/line); drop > 0 {
			s.window = append(s.window[:0], s.window[drop*line:]...)
			s.first += drop
		}
		s.window = append(s.window, rows...)
		s.taken <- struct{}{}
	}
	p := s.info.rgba(s.window[(y-s.first)*line+x*ch:])
	if !s.kind.Alpha {
		p[3] = 0xFFFF
	}
	switch {
	case s.kind.Gray && !s.kind.Alpha && s.kind.Deep:
		return color.Gray16{p[0]}
	case s.kind.Gray && !s.kind.Alpha:
		return color.Gray{Narrow(p[0])}
	case s.kind.Deep:
		return color.NRGBA64{p[0], p[1], p[2], p[3]}
	}
	return color.NRGBA{Narrow(p[0]), Narrow(p[1]), Narrow(p[2]), Narrow(p[3])}
}

// injector writes something behind the first bytes of a file.
type injector struct {
	to    io.Writer
	after int
	what  []byte
}

func (i *injector) Write(b []byte) (n int, err error) {
	if i.what != nil && len(b) >= i.after {
		if n, err = i.to.Write(b[:i.after]); err != nil {
			return n, err
		}
		if _, err = i.to.Write(i.what); err != nil {
			return n, err
		}
		i.what = nil
		m, err := i.to.Write(b[n:])
		return n + m, err
	}
	n, err = i.to.Write(b)
	if i.after -= n; i.after <= 0 && i.what != nil {
		what := i.what
		i.what = nil
		if _, err2 := i.to.Write(what); err == nil {
			err = err2
		}
	}
	return n, err
}

// pngHead is the length of a PNG's signature and header chunk.
const pngHead = len(pngSignature) + 8 + 13 + 4

// pngChunks is what goes into a PNG beside the picture.
func (w *Writer) pngChunks() []byte {
	out := bytes.Clone(w.chunks)
	if w.Profile != nil && !w.wrongProfile() {
		body := bytes.NewBufferString("ICC profile\x00\x00")
		z := zlib.NewWriter(body)
		_, _ = z.Write(w.Profile) // a buffer takes everything
		_ = z.Close()
		out = append(out, pngChunk("iCCP", body.Bytes())...)
	}
	if w.Exif != nil {
		out = append(out, pngChunk("eXIf", w.Exif)...)
	}
	if w.XMP != nil {
		out = append(out, pngChunk("iTXt", append([]byte("XML:com.adobe.xmp\x00\x00\x00\x00\x00"), w.XMP...))...)
	}
	return out
}

// wrongProfile says whether a grey picture's profile meets one that Go's encoder
// writes as colours, grey with alpha, where it would be against the rules.
func (w *Writer) wrongProfile() bool {
	return w.Gray && w.Alpha && len(w.Profile) > 20 && string(w.Profile[16:20]) == "GRAY"
}

// maxSegment is how much a JPEG's segment holds.
const maxSegment = 65533

// jpegSegments is what goes into a JPEG beside the picture.
func (w *Writer) jpegSegments() (out []byte) {
	segment := func(marker byte, parts ...[]byte) {
		body := bytes.Join(parts, nil)
		if len(body) > maxSegment {
			return // as cameras do not write them
		}
		out = append(out, 0xFF, marker)
		out = binary.BigEndian.AppendUint16(out, uint16(len(body)+2))
		out = append(out, body...)
	}
	if w.Exif != nil {
		segment(0xE1, []byte(exifMark), w.Exif)
	}
	if w.XMP != nil {
		segment(0xE1, []byte(xmpMark), w.XMP)
	}
	const room = maxSegment - len(profileMark) - 2
	n := (len(w.Profile) + room - 1) / room
	for i := 0; i < n && n < 256; i++ {
		segment(0xE2, []byte(profileMark), []byte{byte(i + 1), byte(n)}, w.Profile[i*room:min(len(w.Profile), (i+1)*room)])
	}
	return out
}
