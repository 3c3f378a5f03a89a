package pth

import (
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
	start  int64 // its first byte in the file
	placed bool  // start is known, and the file is long enough
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

// read reads the storage from byte first up to byte end: into dst, and piece by
// piece to use; either may be nil. Reading all of it compares the checksum.
func (s *storage) read(first, end int64, dst []byte, use func([]byte) error) error {
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
		if n, err := s.file.ReadAt(piece, s.start+at); n < len(piece) {
			if errors.Is(err, io.EOF) {
				err = damaged("the file is cut off")
			}
			return fmt.Errorf("%s: storage %q: %w", s.name, s.key, err)
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
		return fmt.Errorf("%s: storage %q: %w", s.name, s.key, damaged("checksum %08x, want %08x: the bytes were changed", crc, s.crc))
	}
	return nil
}
