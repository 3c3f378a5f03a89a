package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"io"
	"slices"

	"golang.org/x/image/tiff"
)

// Tags of TIFF 6.0 (Adobe, 1992), and of ICC's and Adobe's supplements.
const (
	tagWidth         = 256
	tagLength        = 257
	tagBits          = 258
	tagCompression   = 259
	tagPhotometric   = 262
	tagFillOrder     = 266
	tagStripOffsets  = 273
	tagSamples       = 277
	tagRowsPerStrip  = 278
	tagStripCounts   = 279
	tagXResolution   = 282
	tagYResolution   = 283
	tagPlanar        = 284
	tagFax3Options   = 292
	tagUnit          = 296
	tagPredictor     = 317
	tagTileLength    = 323
	tagTileOffsets   = 324
	tagTileCounts    = 325
	tagExtraSamples  = 338
	tagXMP           = 700
	tagProfile       = 34675
	photometricGray  = 1
	photometricRGB   = 2
	photometricCMYK  = 5
	unassociated     = 2 // extra sample: alpha that colours were not multiplied by
	compressionNone  = 1
	compressionFax3  = 3
	compressionFax4  = 4
	compressionZlib  = 8
	typeASCII        = 2
	typeShort        = 3
	typeLong         = 4
	typeRational     = 5
	typeUndefined    = 7
	littleEndianTIFF = "II*\x00"
)

// keptTags are copied from one TIFF to another: description, maker and model,
// software, date, artist, copyright, resolution.
var keptTags = []uint16{270, 271, 272, 305, 306, 315, 33432, tagXResolution, tagYResolution, tagUnit}

// typeSizes are the bytes that a value of each type takes.
var typeSizes = [...]int{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8}

// tag is an entry of a directory. data is little-endian.
type tag struct {
	id, kind uint16
	data     []byte
}

func (t tag) count() int { return len(t.data) / typeSizes[t.kind] }

// entry is one of a file's directory: as it stands there, 12 bytes.
type entry [12]byte

// directory is a TIFF's first one, and where it is from.
type directory struct {
	file    io.ReaderAt
	size    int64
	order   binary.ByteOrder
	entries []entry
}

// readTIFF reads the directory and what stands beside the pixels.
func (h *header) readTIFF(f io.ReaderAt, size int64) error {
	d := &directory{file: f, size: size, order: binary.LittleEndian}
	var head [8]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return err
	}
	if head[0] == 'M' {
		d.order = binary.BigEndian
	}
	at := int64(d.order.Uint32(head[4:]))
	var n [2]byte
	if _, err := f.ReadAt(n[:], at); err != nil {
		return err
	}
	raw := make([]byte, 12*int(d.order.Uint16(n[:])))
	if _, err := f.ReadAt(raw, at+2); err != nil {
		return err
	}
	for e := range slices.Chunk(raw, 12) {
		d.entries = append(d.entries, entry(e))
	}
	switch {
	case d.number(tagPhotometric, 0) == photometricCMYK:
		return errCMYK
	case d.number(tagPlanar, 1) == 2 && d.number(tagSamples, 1) > 1:
		return fmt.Errorf("%w: a TIFF with a plane for each colour; save it with the colours of a pixel together", ErrKind)
	case d.number(tagCompression, compressionNone) == compressionFax3 && d.number(tagFax3Options, 0) != 0:
		return fmt.Errorf("%w: a TIFF compressed as a fax in two dimensions or with filling; save it with another compression", ErrKind)
	case !d.fax() && d.number(tagFillOrder, 1) == 2:
		return fmt.Errorf("%w: a TIFF with the bits of each byte in reverse order; save it with the usual one", ErrKind)
	}
	h.tiff = d
	h.turn = turnValue(uint16(d.number(orientationTag, 1)))
	h.Profile, h.XMP = d.bytes(tagProfile), d.bytes(tagXMP)
	for _, id := range keptTags {
		if t, ok := d.tag(id); ok {
			h.tags = append(h.tags, t)
		}
	}
	return nil
}

func (d *directory) entry(id uint16) (entry, bool) {
	for _, e := range d.entries {
		if d.order.Uint16(e[:]) == id {
			return e, true
		}
	}
	return entry{}, false
}

// tag reads an entry's values. Strange ones are as good as none.
func (d *directory) tag(id uint16) (tag, bool) {
	e, ok := d.entry(id)
	if !ok {
		return tag{}, false
	}
	t := tag{id: id, kind: d.order.Uint16(e[2:])}
	if int(t.kind) >= len(typeSizes) || t.kind == 0 {
		return tag{}, false
	}
	size := int64(typeSizes[t.kind]) * int64(d.order.Uint32(e[4:]))
	if size > most || size > d.size {
		return tag{}, false
	}
	t.data = make([]byte, size)
	if size <= 4 {
		copy(t.data, e[8:])
	} else if _, err := d.file.ReadAt(t.data, int64(d.order.Uint32(e[8:]))); err != nil {
		return tag{}, false
	}
	if d.order == binary.BigEndian {
		word := typeSizes[t.kind]
		if t.kind == typeRational || t.kind == 10 { // two numbers
			word = 4
		}
		for w := range slices.Chunk(t.data, word) {
			slices.Reverse(w)
		}
	}
	return t, true
}

func (d *directory) bytes(id uint16) []byte {
	t, _ := d.tag(id)
	return t.data
}

// numbers reads an entry of whole numbers.
func (d *directory) numbers(id uint16) (n []uint32) {
	t, _ := d.tag(id)
	switch t.kind {
	case typeShort:
		for b := range slices.Chunk(t.data, 2) {
			n = append(n, uint32(binary.LittleEndian.Uint16(b)))
		}
	case typeLong:
		for b := range slices.Chunk(t.data, 4) {
			n = append(n, binary.LittleEndian.Uint32(b))
		}
	}
	return n
}

// number is an entry's first number, or what it is without one.
func (d *directory) number(id uint16, without uint32) uint32 {
	if n := d.numbers(id); len(n) > 0 {
		return n[0]
	}
	return without
}

// fax says whether pixels are compressed as those of a fax, black and white.
func (d *directory) fax() bool {
	c := d.number(tagCompression, compressionNone)
	return c == compressionFax3 || c == compressionFax4
}

// decode decodes the pixels. The decoder takes a fax's white for white, also where
// the file says that the value which stands for it is black (TIFF 6.0, section 11).
func (d *directory) decode() (image.Image, error) {
	im, err := tiff.Decode(d.whole())
	if grey, ok := im.(*image.Gray); ok && d.fax() && d.number(tagPhotometric, 0) == photometricGray {
		for i := range grey.Pix {
			grey.Pix[i] ^= 0xFF
		}
	}
	return im, err
}

// whole is the file for the decoder.
func (d *directory) whole() io.Reader { return d.with() }

// with is the file with a directory in which some entries are others.
func (d *directory) with(others ...tag) io.Reader {
	if d.number(tagExtraSamples, unassociated) == 0 && d.number(tagSamples, 1) == 4 {
		// Photoshop and others call alpha "unspecified", which the decoder refuses.
		others = append(others, tag{tagExtraSamples, typeShort, short(unassociated)})
	}
	if len(others) == 0 {
		return io.NewSectionReader(d.file, 0, d.size)
	}
	at := d.size + d.size%2
	entries := slices.DeleteFunc(slices.Clone(d.entries), func(e entry) bool {
		return slices.ContainsFunc(others, func(t tag) bool { return t.id == d.order.Uint16(e[:]) })
	})
	var values []byte
	after := at + 2 + int64(12*(len(entries)+len(others))) + 4
	for _, t := range others {
		data := t.data
		if d.order == binary.BigEndian {
			data = slices.Clone(data)
			for w := range slices.Chunk(data, typeSizes[t.kind]) {
				slices.Reverse(w)
			}
		}
		var e entry
		d.order.PutUint16(e[:], t.id)
		d.order.PutUint16(e[2:], t.kind)
		d.order.PutUint32(e[4:], uint32(t.count()))
		if len(data) <= 4 {
			copy(e[8:], data)
		} else {
			d.order.PutUint32(e[8:], uint32(after+int64(len(values))))
			values = append(values, data...)
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return int(d.order.Uint16(a[:])) - int(d.order.Uint16(b[:])) })
	end := make([]byte, 2, int(after-at)+len(values))
	d.order.PutUint16(end, uint16(len(entries)))
	for _, e := range entries {
		end = append(end, e[:]...)
	}
	end = append(end, 0, 0, 0, 0) // no other directory
	o := &overlay{file: d.file, size: d.size, at: at, end: append(end, values...)}
	_, _ = d.file.ReadAt(o.head[:], 0)
	d.order.PutUint32(o.head[4:], uint32(at))
	return io.NewSectionReader(o, 0, at+int64(len(o.end)))
}

// overlay is a file with another head, and something more at its end.
type overlay struct {
	file     io.ReaderAt
	size, at int64
	head     [8]byte
	end      []byte
}

func (o *overlay) ReadAt(p []byte, off int64) (n int, err error) {
	if off >= o.at {
		return bytes.NewReader(o.end).ReadAt(p, off-o.at)
	}
	if n, err = o.file.ReadAt(p, off); err != nil && err != io.EOF {
		return n, err
	}
	if off < int64(len(o.head)) {
		copy(p[:n], o.head[off:])
	}
	if n < len(p) {
		if off+int64(n) < o.at && n < len(p) { // a byte between the two
			p[n] = 0
			n++
		}
		var more int
		more, err = bytes.NewReader(o.end).ReadAt(p[n:], off+int64(n)-o.at)
		n += more
	}
	if n == len(p) {
		err = nil
	}
	return n, err
}

func short(values ...int) (b []byte) {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return b
}

func long(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

// blocks says how a file's pixels are divided: strips of rows, or rows of tiles.
func (d *directory) blocks() (rows, across int, offsets, counts uint16) {
	if length := d.number(tagTileLength, 0); length > 0 {
		width := max(1, int(d.number(322, 0)))
		return int(length), (int(d.number(tagWidth, 0)) + width - 1) / width, tagTileOffsets, tagTileCounts
	}
	h := d.number(tagLength, 0)
	return int(min(h, d.number(tagRowsPerStrip, h))), 1, tagStripOffsets, tagStripCounts
}

// inParts says whether a part of the pixels can be decoded alone.
func (d *directory) inParts() bool {
	bits := d.number(tagBits, 1)
	if bits != 8 && bits != 16 || d.number(tagPhotometric, 0) > photometricRGB {
		return false
	}
	rows, _, _, _ := d.blocks()
	return rows > 0 && (rows < int(d.number(tagLength, 0)) || d.splits())
}

// splits says whether a single strip can be divided: rows of plain numbers can.
func (d *directory) splits() bool {
	return d.number(tagCompression, compressionNone) == compressionNone && d.number(tagTileLength, 0) == 0
}

// partPixels is how many pixels are decoded at once, at least a row of blocks.
const partPixels = 1 << 20

// readTIFFParts reads a TIFF a few blocks at a time: the decoder is shown a
// directory that knows no others.
func (h *header) readTIFFParts(i *Info) (func(rows []uint16) error, error) {
	d := h.tiff
	i.Gray = h.config.ColorModel == color.GrayModel || h.config.ColorModel == color.Gray16Model
	i.Deep = d.number(tagBits, 1) == 16
	i.Alpha = d.number(tagSamples, 1) == 4
	rows, across, offsetsTag, countsTag := d.blocks()
	offsets, counts := d.numbers(offsetsTag), d.numbers(countsTag)
	down := (i.H + rows - 1) / rows
	if len(offsets) < down*across || len(counts) < down*across {
		return nil, fmt.Errorf("%w: it lists %d parts of %d", ErrDamaged, min(len(offsets), len(counts)), down*across)
	}
	if rows >= i.H && d.splits() {
		line, all := uint32(i.W)*d.number(tagSamples, 1)*d.number(tagBits, 1)/8, offsets[0]
		rows = max(1, partPixels/i.W)
		offsets, counts, down = nil, nil, (i.H+rows-1)/rows
		for y := 0; y < i.H; y += rows {
			offsets, counts = append(offsets, all+uint32(y)*line), append(counts, uint32(min(rows, i.H-y))*line)
		}
	}
	group := max(1, partPixels/(i.W*rows))
	var decoded func(rows []uint16) error
	next, left := 0, 0 // block, rows of those decoded
	return func(out []uint16) error {
		line := i.W * i.Channels()
		for len(out) > 0 {
			if left == 0 {
				n := min(group, down-next)
				first, last := next*across, (next+n)*across
				left = min(n*rows, i.H-next*rows)
				others := []tag{{tagLength, typeLong, long(uint32(left))}, {offsetsTag, typeLong, long(offsets[first:last]...)}, {countsTag, typeLong, long(counts[first:last]...)}}
				if offsetsTag == tagStripOffsets {
					others = append(others, tag{tagRowsPerStrip, typeLong, long(uint32(rows))})
				}
				im, err := tiff.Decode(d.with(others...))
				if err != nil {
					return failure(err)
				}
				if b := im.Bounds(); b.Dx() != i.W || b.Dy() != left {
					return fmt.Errorf("%w: a part of it has another size", ErrDamaged)
				}
				decoded, next = rowsOf(im, *i, Upright), next+n
			}
			n := min(left, len(out)/line)
			if err := decoded(out[:n*line]); err != nil {
				return err
			}
			out, left = out[n*line:], left-n
		}
		return nil
	}, nil
}

// tiffWriter writes a TIFF strip by strip, compressed with zlib.
type tiffWriter struct {
	info Info
	out  interface {
		io.Writer
		io.WriterAt
	}
	at              int64
	rows            int // in a strip
	strip           []byte
	offsets, counts []uint32
}

// stripBytes is how much of a picture goes into a strip.
const stripBytes = 1 << 16

func newTIFF(out interface {
	io.Writer
	io.WriterAt
}, i Info) (*tiffWriter, error) {
	w := &tiffWriter{info: i, out: out}
	w.rows = max(1, stripBytes/w.line())
	return w, w.write([]byte(littleEndianTIFF + "\x00\x00\x00\x00"))
}

// line is how many bytes a row takes.
func (w *tiffWriter) line() int { return w.info.W * w.info.Channels() * (1 + btoi(w.info.Deep)) }

func (w *tiffWriter) write(b []byte) error {
	if w.at+int64(len(b)) > 1<<32-1<<20 { // a directory goes behind it
		return fmt.Errorf("picture: a TIFF has room for 4 GB; write PNG")
	}
	n, err := w.out.Write(b)
	w.at += int64(n)
	return err
}

func (w *tiffWriter) Write(rows []uint16) error {
	ch := w.info.Channels()
	for line := range slices.Chunk(rows, w.info.W*ch) {
		// Horizontal differencing (TIFF 6.0, section 14): neighbours differ by little.
		for k, v := range line {
			var before uint16
			if k >= ch {
				before = line[k-ch]
			}
			if w.info.Deep {
				w.strip = binary.LittleEndian.AppendUint16(w.strip, v-before)
			} else if k >= ch {
				w.strip = append(w.strip, Narrow(v)-Narrow(before))
			} else {
				w.strip = append(w.strip, Narrow(v))
			}
		}
		if len(w.strip) >= w.rows*w.line() {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *tiffWriter) flush() error {
	if len(w.strip) == 0 {
		return nil
	}
	var packed bytes.Buffer
	z, _ := zlib.NewWriterLevel(&packed, zlib.BestSpeed)
	if _, err := z.Write(w.strip); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	w.strip = w.strip[:0]
	w.offsets, w.counts = append(w.offsets, uint32(w.at)), append(w.counts, uint32(packed.Len()))
	return w.write(packed.Bytes())
}

func (w *tiffWriter) Close() error {
	if err := w.flush(); err != nil {
		return err
	}
	i := w.info
	bits := slices.Repeat([]int{8 << btoi(i.Deep)}, i.Channels())
	photometric := photometricRGB
	if i.Gray {
		photometric = photometricGray
	}
	tags := append([]tag{
		{tagWidth, typeLong, long(uint32(i.W))},
		{tagLength, typeLong, long(uint32(i.H))},
		{tagBits, typeShort, short(bits...)},
		{tagCompression, typeShort, short(compressionZlib)},
		{tagPhotometric, typeShort, short(photometric)},
		{tagStripOffsets, typeLong, long(w.offsets...)},
		{tagSamples, typeShort, short(i.Channels())},
		{tagRowsPerStrip, typeLong, long(uint32(w.rows))},
		{tagStripCounts, typeLong, long(w.counts...)},
		{tagPlanar, typeShort, short(1)},
		{tagPredictor, typeShort, short(2)},
	}, i.tags...)
	if i.Alpha {
		tags = append(tags, tag{tagExtraSamples, typeShort, short(unassociated)})
	}
	if i.Profile != nil {
		tags = append(tags, tag{tagProfile, typeUndefined, i.Profile})
	}
	if i.XMP != nil {
		tags = append(tags, tag{tagXMP, 1, i.XMP})
	}
	slices.SortFunc(tags, func(a, b tag) int { return int(a.id) - int(b.id) })
	if w.at%2 == 1 {
		if err := w.write([]byte{0}); err != nil {
			return err
		}
	}
	at := w.at
	values := at + 2 + int64(12*len(tags)) + 4
	var directory, data []byte
	directory = append(directory, short(len(tags))...)
	for _, t := range tags {
		directory = append(directory, short(int(t.id), int(t.kind))...)
		directory = append(directory, long(uint32(t.count()))...)
		if len(t.data) <= 4 {
			directory = append(append(directory, t.data...), make([]byte, 4-len(t.data))...)
		} else {
			directory = append(directory, long(uint32(values+int64(len(data))))...)
			data = append(data, t.data...)
			data = append(data, make([]byte, len(t.data)%2)...)
		}
	}
	directory = append(directory, 0, 0, 0, 0) // no other one
	if err := w.write(append(directory, data...)); err != nil {
		return err
	}
	_, err := w.out.WriteAt(long(uint32(at)), 4)
	return err
}
