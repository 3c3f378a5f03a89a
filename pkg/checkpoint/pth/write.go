package pth

import (
	"archive/zip"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"rekindle/pkg/durable"
)

// root is the folder inside the archive; PyTorch takes any name.
const root = "archive"

// alignment of each entry's first byte in the file, as PyTorch has it, so that
// tensors can be mapped into memory.
const alignment = 64

// Save writes v, usually a [Dict], as a file that torch.load opens, also with
// weights_only=True: all or nothing, flushed to the disk. Tensors go straight
// from their memory to the file, or, if they were read from another file that
// is still open, from there. A tensor that appears twice is stored once.
func Save(path string, v any) error {
	f, err := durable.Create(path)
	if err != nil {
		return fmt.Errorf("pth: save: %w", err)
	}
	defer f.Abort()
	if err := write(f, v); err != nil {
		return fmt.Errorf("pth: save %s: %w", path, err)
	}
	if err := f.Commit(); err != nil {
		return fmt.Errorf("pth: save %s: %w", path, err)
	}
	return nil
}

// Write writes the same bytes to w. The same values always give the same bytes.
func Write(w io.Writer, v any) error {
	if err := write(w, v); err != nil {
		return fmt.Errorf("pth: write: %w", err)
	}
	return nil
}

func write(w io.Writer, v any) error {
	p := &pickler{}
	if err := p.pickle(v); err != nil {
		return err
	}
	a := newArchiver(w)
	a.bytes("data.pkl", p.out)
	a.bytes("byteorder", []byte("little"))
	for i, t := range p.tensors {
		a.entry("data/"+strconv.Itoa(i), int64(t.Len()*t.DType.Size()), t.stream)
	}
	a.bytes("version", []byte("3\n"))
	return a.close()
}

// archiver writes stored entries that begin at multiples of alignment. After an
// error it does nothing more.
type archiver struct {
	zip  *zip.Writer
	to   *countingWriter
	owed int64 // bytes that zip still has to write behind the entry before
	err  error
}

func newArchiver(w io.Writer) *archiver {
	to := &countingWriter{w: w}
	return &archiver{zip: zip.NewWriter(to), to: to}
}

func (a *archiver) bytes(name string, data []byte) {
	a.entry(name, int64(len(data)), func(use func([]byte) error) error { return use(data) })
}

func (a *archiver) entry(name string, size int64, stream func(use func([]byte) error) error) {
	if a.err != nil {
		return
	}
	if a.err = a.zip.Flush(); a.err != nil { // so that to.n is true
		return
	}
	// A local header is 30 bytes and the name; the padding sits in an extra field
	// of its own with the tag that PyTorch uses.
	name = root + "/" + name
	start := a.to.n + a.owed + 30 + int64(len(name)) + 4
	padding := int((alignment - start%alignment) % alignment)
	extra := append([]byte{'F', 'B', byte(padding), 0}, make([]byte, padding)...)
	to, err := a.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store, Extra: extra})
	if err != nil {
		a.err = err
		return
	}
	if a.owed = 16; size >= math.MaxUint32 { // the data descriptor, with 64-bit sizes
		a.owed = 24
	}
	a.err = stream(func(data []byte) error {
		for piece := range slices.Chunk(data, pieceSize) {
			if _, err := to.Write(piece); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *archiver) close() error {
	if a.err != nil {
		return a.err
	}
	return a.zip.Close()
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
