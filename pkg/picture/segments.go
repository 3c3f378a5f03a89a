package picture

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"io"
)

// Beginnings of what a JPEG's APP1 and APP2 segments hold.
const (
	exifMark    = "Exif\x00\x00"
	xmpMark     = "http://ns.adobe.com/xap/1.0/\x00"
	profileMark = "ICC_PROFILE\x00"
)

// readJPEG reads what stands before the pixels. What is strange there is passed
// over: the decoder will find what matters.
func (h *header) readJPEG(f io.Reader) {
	r := bufio.NewReader(f)
	_, _ = r.Discard(2)
	parts := map[byte][]byte{}
	defer func() {
		for i := range len(parts) { // numbered from 1
			part, ok := parts[byte(i+1)]
			if !ok {
				h.Profile = nil
				return
			}
			h.Profile = append(h.Profile, part...)
		}
	}()
	for {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:2]); err != nil || head[0] != 0xFF {
			return
		}
		for head[1] == 0xFF { // filling
			b, err := r.ReadByte()
			if err != nil {
				return
			}
			head[1] = b
		}
		if head[1] == 0xDA || head[1] == 0xD9 { // start of scan, end of image
			return
		}
		if _, err := io.ReadFull(r, head[2:]); err != nil {
			return
		}
		size := int(binary.BigEndian.Uint16(head[2:]))
		if size < 2 {
			return
		}
		body := make([]byte, size-2)
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		switch {
		case head[1] == 0xE1 && bytes.HasPrefix(body, []byte(exifMark)) && h.Exif == nil:
			h.setExif(body[len(exifMark):])
		case head[1] == 0xE1 && bytes.HasPrefix(body, []byte(xmpMark)):
			h.XMP = body[len(xmpMark):]
		case head[1] == 0xE2 && bytes.HasPrefix(body, []byte(profileMark)) && len(body) > len(profileMark)+2:
			parts[body[len(profileMark)]] = body[len(profileMark)+2:]
		}
	}
}

// readWebP reads the chunks beside the pixels of a WebP file, and whether those with
// pixels lie in it.
func (h *header) readWebP(f io.ReaderAt, size int64) error {
	var total int64
	for at := int64(12); at+8 <= size; {
		var head [8]byte
		if _, err := f.ReadAt(head[:], at); err != nil {
			return nil
		}
		n := int64(binary.LittleEndian.Uint32(head[4:]))
		kind := string(head[:4])
		switch beyond := at+8+n > size; kind {
		case "ANIM":
			return fmt.Errorf("%w: a WebP animation; save one of its pictures as PNG", ErrKind)
		case "VP8 ", "VP8L", "ALPH":
			h.cut = h.cut || beyond
		case "ICCP", "EXIF", "XMP ":
			if total += n; beyond || total > most {
				break
			}
			body := make([]byte, n)
			if _, err := f.ReadAt(body, at+8); err != nil {
				return nil
			}
			switch kind {
			case "ICCP":
				h.Profile = body
			case "EXIF":
				h.setExif(bytes.TrimPrefix(body, []byte(exifMark))) // some programs write JPEG's mark here
			case "XMP ":
				h.XMP = body
			}
		}
		at += 8 + n + n%2
	}
	return nil
}

// toRGB converts the colours of a lossy WebP, whose luma goes from 16 to 235 (RFC
// 9649 names ITU-R BT.601). The decoder leaves them as they are, and Go takes such
// values for those of a JPEG, which go from 0 to 255.
func toRGB(im image.Image) image.Image {
	from, ok := im.(*image.YCbCr)
	var alpha *image.NYCbCrA
	if alpha, _ = im.(*image.NYCbCrA); alpha != nil {
		from = &alpha.YCbCr
	} else if !ok {
		return im
	}
	out := image.NewNRGBA(from.Rect)
	for y := from.Rect.Min.Y; y < from.Rect.Max.Y; y++ {
		for x := from.Rect.Min.X; x < from.Rect.Max.X; x++ {
			chroma := from.COffset(x, y)
			luma := 19077 * (int(from.Y[from.YOffset(x, y)]) - 16) // 255/219 in 14 bits
			cb, cr := int(from.Cb[chroma])-128, int(from.Cr[chroma])-128
			p := out.Pix[out.PixOffset(x, y):]
			p[0], p[1], p[2], p[3] = clip(luma+26149*cr), clip(luma-6419*cb-13320*cr), clip(luma+33050*cb), 0xFF
			if alpha != nil {
				p[3] = alpha.A[alpha.AOffset(x, y)]
			}
		}
	}
	return out
}

// clip rounds a value with 14 bits behind the point.
func clip(v int) uint8 { return uint8(min(max((v+1<<13)>>14, 0), 255)) }
