package pth

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// File is an open checkpoint.
type File struct {
	Root any // its value; tensors are read from the file when asked
	file *os.File
}

// Close closes the file; tensors that were not read yet can no longer be.
func (f *File) Close() error { return f.file.Close() }

// Open reads the structure of a PyTorch checkpoint of either format. The error
// names the file and the reason; it is [ErrNotCheckpoint], [ErrDamaged],
// [ErrRefused] or one of the operating system (fs.ErrNotExist).
func Open(name string) (*File, error) {
	// Asked first, because opening a named pipe would wait for its other end.
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("pth: %w", err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("pth: %s: %w", name, foreign("it is a folder"))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("pth: %s: %w", name, foreign("it is no regular file"))
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("pth: %w", err)
	}
	if info, err = file.Stat(); err == nil {
		var root any
		if root, err = parse(source{file, info.Size(), name}); err == nil {
			return &File{root, file}, nil
		}
	}
	file.Close()
	return nil, fmt.Errorf("pth: %s: %w", name, err)
}

// parse reads the structure of a checkpoint of either format.
func parse(src source) (any, error) {
	head := make([]byte, min(16, src.size))
	if _, err := src.file.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case len(head) == 0:
		return nil, foreign("the file is empty")
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return parseZip(src)
	case head[0] == opProto:
		return parseLegacy(src)
	}
	return nil, foreign("%s", looksLike(head))
}

// looksLike names what people mistake for a checkpoint.
func looksLike(head []byte) string {
	for _, known := range []struct {
		at     int
		prefix string
		name   string
	}{
		{0, "\x89PNG", "it is a PNG picture"},
		{0, "\xff\xd8\xff", "it is a JPEG picture"},
		{0, "{", "it is a text, probably JSON"},
		{0, "\x89HDF", "it is an HDF5 file, as Keras writes"},
		{8, `{"`, "it is a safetensors file"},
		{0, "\x1f\x8b", "it is compressed with gzip; unpack it first"},
	} {
		if len(head) >= known.at && bytes.HasPrefix(head[known.at:], []byte(known.prefix)) {
			return known.name
		}
	}
	return "it begins neither like a zip archive nor like a pickle"
}
