package pth

import (
	"archive/zip"
	"compress/flate"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// pieceSize is how much is read or written at a time: large enough that the
// calls do not count, small enough that the checksum is computed from the cache.
const pieceSize = 1 << 18

// storage is a block of numbers in a file that tensors are views of.
type storage struct {
	dtype DType
	numel int
	key   string // its name in the file

	source
	start  int64     // its first byte in the file
	packed *zip.File // the entry, if its bytes are compressed; then start means nothing
	placed bool      // start is known, and the file is long enough
	crc    uint32
	hasCRC bool // the zip format only
}

// source is the file that a checkpoint is read from.
type source struct {
	file io.ReaderAt
	size int64
	name string // for messages
}

func (s *storage) bytes() int64 { return int64(s.numel) * int64(s.dtype.Size()) }

// in places the storage in an entry of a zip archive.
func (s *storage) in(e *zip.File) (err error) {
	if s.placed = true; e.Method == zip.Store {
		s.start, err = e.DataOffset()
	} else {
		s.packed = e
	}
	return err
}

// from reads the storage's bytes from first to end. Compressed ones are
// decompressed from the start, without memory for more than a window of them.
func (s *storage) from(first, end int64) (io.Reader, error) {
	if s.packed == nil {
		return io.NewSectionReader(s.file, s.start+first, end-first), nil
	}
	raw, err := s.packed.OpenRaw()
	if err != nil {
		return nil, err
	}
	unpacked := flate.NewReader(raw)
	_, err = io.CopyN(io.Discard, unpacked, first)
	return unpacked, err
}

// read is fill with the file's name in errors.
func (s *storage) read(first, end int64, dst []byte, use func([]byte) error) error {
	if err := s.fill(first, end, dst, use); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

// fill reads the storage from byte first up to byte end: into dst, and piece by
// piece to use; either may be nil. Reading all of it compares the checksum.
func (s *storage) fill(first, end int64, dst []byte, use func([]byte) error) error {
	from, err := s.from(first, end)
	if err != nil {
		return s.failed(err)
	}
	whole := first == 0 && end == s.bytes()
	buffer, crc := dst, uint32(0)
	if dst == nil {
		buffer = make([]byte, min(pieceSize, end-first))
	}
	for at := first; at < end; {
		piece := buffer[:min(pieceSize, end-at)]
		if dst != nil {
			piece = dst[at-first:][:len(piece)]
		}
		if _, err := io.ReadFull(from, piece); err != nil {
			return s.failed(err)
		}
		if whole && s.hasCRC {
			crc = crc32.Update(crc, crc32.IEEETable, piece)
		}
		if use != nil {
			if err := use(piece); err != nil {
				return err
			}
		}
		at += int64(len(piece))
	}
	if whole && s.hasCRC && crc != s.crc {
		return s.failed(damaged("checksum %08x, want %08x: the bytes were changed", crc, s.crc))
	}
	return nil
}

// failed says which storage it was.
func (s *storage) failed(err error) error {
	var corrupt flate.CorruptInputError
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = damaged("the file is cut off")
	} else if errors.As(err, &corrupt) {
		err = damaged("it cannot be decompressed: %w", err)
	}
	return fmt.Errorf("storage %q: %w", s.key, err)
}
