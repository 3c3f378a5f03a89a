package picture

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// pngHeader is what decides how a PNG is read.
type pngHeader struct {
	w, h, depth int
	colour      byte // 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha
	interlaced  bool
	key         bool // one colour is transparent
}

func (p *pngHeader) channels() int { return [...]int{1, 0, 3, 1, 2, 0, 4}[p.colour%7] }

// inRows says whether the picture is one that [header.readPNGRows] reads.
func (p *pngHeader) inRows() bool {
	return p.depth >= 8 && p.colour != 3 && !p.interlaced && !p.key
}

// believable compares the claimed size with the file's: deflate makes at most
// [unpacking] bytes of one.
func (p *pngHeader) believable(size int64) error {
	if claimed := int64(p.h) * (int64(p.w)*int64(p.channels()*p.depth)/8 + 1); claimed/unpacking > size {
		return fmt.Errorf("%w: its header claims %d x %d pixels, more than %d bytes can hold", ErrDamaged, p.w, p.h, size)
	}
	return nil
}

// kept are the chunks that are copied into a new PNG as they are: what people
// wrote, resolution, colour space.
var kept = map[string]bool{
	"tEXt": true, "zTXt": true, "iTXt": true, "pHYs": true, "tIME": true,
	"gAMA": true, "cHRM": true, "sRGB": true, "cICP": true,
}

// most bounds what is kept of a file beside its pixels.
const most = 64 << 20

// readPNG reads everything but the pixels. Beyond the header, what is strange
// there is passed over: reading the pixels will find what matters.
func (h *header) readPNG(f io.ReaderAt, size int64) error {
	var p pngHeader
	var total int64
	for at := int64(len(pngSignature)); at+12 <= size; {
		var head [8]byte
		if _, err := f.ReadAt(head[:], at); err != nil {
			return err
		}
		n, kind := int64(binary.BigEndian.Uint32(head[:])), string(head[4:])
		if at+12+n > size || kind == "IEND" {
			break
		}
		body := func() []byte {
			if total += n; total > most {
				return nil
			}
			b := make([]byte, n)
			if _, err := f.ReadAt(b, at+8); err != nil {
				return nil
			}
			return b
		}
		switch {
		case kind == "IHDR" && n == 13:
			b := body()
			p.w, p.h = int(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint32(b[4:]))
			p.depth, p.colour, p.interlaced = int(b[8]), b[9], b[12] != 0
		case kind == "tRNS":
			p.key = true
		case kind == "eXIf":
			h.setExif(body())
		case kind == "iCCP":
			if name, packed, ok := bytes.Cut(body(), []byte{0}); ok && len(name) < 80 && len(packed) > 1 {
				if z, err := zlib.NewReader(bytes.NewReader(packed[1:])); err == nil {
					if profile, err := io.ReadAll(io.LimitReader(z, most)); err == nil {
						h.Profile = profile
					}
				}
			}
		case kept[kind]:
			if b := body(); b != nil {
				h.chunks = append(h.chunks, pngChunk(kind, b)...)
			}
		}
		at += 12 + n
	}
	h.png = &p
	h.Gray, h.Alpha, h.Deep = p.colour == 0 || p.colour == 4, p.colour >= 4, p.depth == 16
	return nil
}

// setExif takes a TIFF structure for what the camera noted, orientation included.
func (h *header) setExif(t []byte) {
	if len(t) > 8 {
		h.turn, h.Exif = turnOf(t), uprighted(t)
	}
}

func pngChunk(kind string, body []byte) []byte {
	c := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	c = append(append(c, kind...), body...)
	return binary.BigEndian.AppendUint32(c, crc32.ChecksumIEEE(c[4:]))
}

// pixels joins the contents of a PNG's IDAT chunks, and checks their CRC.
type pixels struct {
	file io.Reader
	left uint32
	sum  uint32
	in   bool // an IDAT
}

func (p *pixels) Read(b []byte) (int, error) {
	for p.left == 0 {
		var word [8]byte
		if p.in {
			if _, err := io.ReadFull(p.file, word[:4]); err != nil {
				return 0, err
			}
			if binary.BigEndian.Uint32(word[:]) != p.sum {
				return 0, errors.New("a checksum does not fit")
			}
		}
		if _, err := io.ReadFull(p.file, word[:]); err != nil {
			return 0, err
		}
		n := binary.BigEndian.Uint32(word[:4])
		switch kind := string(word[4:]); {
		case kind == "IDAT":
			p.left, p.in, p.sum = n, true, crc32.ChecksumIEEE(word[4:])
		case p.in:
			return 0, io.EOF
		default: // before the pixels; the CRC too
			if _, err := io.CopyN(io.Discard, p.file, int64(n)+4); err != nil {
				return 0, err
			}
		}
	}
	n, err := p.file.Read(b[:min(len(b), int(p.left))])
	p.left -= uint32(n)
	p.sum = crc32.Update(p.sum, crc32.IEEETable, b[:n])
	return n, err
}

// readPNGRows reads a PNG row by row, which Go's decoder does not.
func (h *header) readPNGRows(i *Info, f io.ReaderAt, size int64) (func(rows []uint16) error, error) {
	if err := h.png.believable(size); err != nil {
		return nil, err
	}
	file := bufio.NewReaderSize(io.NewSectionReader(f, int64(len(pngSignature)), size), 1<<16)
	z, err := zlib.NewReader(&pixels{file: file})
	if err != nil {
		return nil, failure(err)
	}
	ch, deep := i.Channels(), i.Deep
	bpp := ch * h.png.depth / 8
	above, line := make([]byte, 1+i.W*bpp), make([]byte, 1+i.W*bpp)
	left := i.H
	return func(rows []uint16) error {
		for ; len(rows) > 0; rows = rows[i.W*ch:] {
			if _, err := io.ReadFull(z, line); err != nil {
				return failure(err)
			}
			if err := unfilter(line[0], line[1:], above[1:], bpp); err != nil {
				return failure(err)
			}
			for k := range rows[:i.W*ch] {
				if deep {
					rows[k] = uint16(line[1+2*k])<<8 | uint16(line[2+2*k])
				} else {
					rows[k] = wide(line[1+k])
				}
			}
			above, line = line, above
			if left--; left == 0 { // the checksum of everything stands behind the last row
				if _, err := io.ReadFull(z, line[:1]); err != io.EOF {
					if err == nil {
						err = errors.New("more pixels than its header says")
					}
					return failure(err)
				}
			}
		}
		return nil
	}, nil
}

// unfilter undoes a row's filter (PNG specification, section 9.2): each byte was
// written as its difference from a guess, made of the bytes a pixel to the left,
// above, and a pixel to the left of that.
func unfilter(filter byte, row, above []byte, bpp int) error {
	switch filter {
	case 0:
	case 1:
		for i := bpp; i < len(row); i++ {
			row[i] += row[i-bpp]
		}
	case 2:
		for i := range row {
			row[i] += above[i]
		}
	case 3:
		for i := range row {
			left := 0
			if i >= bpp {
				left = int(row[i-bpp])
			}
			row[i] += uint8((left + int(above[i])) / 2)
		}
	case 4:
		for i := range row {
			left, corner := 0, 0
			if i >= bpp {
				left, corner = int(row[i-bpp]), int(above[i-bpp])
			}
			up := int(above[i])
			guess := left + up - corner
			toLeft, toUp, toCorner := abs(guess-left), abs(guess-up), abs(guess-corner)
			switch {
			case toLeft <= toUp && toLeft <= toCorner:
				row[i] += uint8(left)
			case toUp <= toCorner:
				row[i] += uint8(up)
			default:
				row[i] += uint8(corner)
			}
		}
	default:
		return fmt.Errorf("a row has the filter %d, which there is not", filter)
	}
	return nil
}

func abs(v int) int { return max(v, -v) }
