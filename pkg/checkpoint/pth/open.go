package pth

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// File is an open checkpoint.
type File struct {
	Root any // its value; tensors are read from the file when asked
	file *os.File
}

// Close closes the file; tensors that were not read yet can no longer be.
func (f *File) Close() error { return f.file.Close() }

// Open reads the structure of a PyTorch checkpoint of either format. The error
// names the file and the reason.
func Open(name string) (*File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("pth: %w", err)
	}
	root, err := open(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("pth: %s: %w", name, err)
	}
	return &File{root, f}, nil
}

func open(f *os.File) (any, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("this is a folder, not a checkpoint")
	}
	return parse(f, info.Size())
}

// parse reads the structure of a checkpoint of either format.
func parse(f io.ReaderAt, size int64) (any, error) {
	if size == 0 {
		return nil, errors.New("the file is empty")
	}
	head := make([]byte, 4)
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, errors.New("the file is too short for a checkpoint")
	}
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return openZip(f, size)
	case head[0] == opProto:
		return openLegacy(f, size)
	}
	return nil, errors.New("this is not a PyTorch checkpoint: it begins neither like a zip archive nor like a pickle")
}

func openZip(f io.ReaderAt, size int64) (any, error) {
	archive, err := zip.NewReader(f, size)
	if err != nil {
		return nil, fmt.Errorf("the archive is damaged or cut off: %w", err)
	}
	entries := map[string]*zip.File{}
	folder := ""
	for _, e := range archive.File {
		entries[e.Name] = e
		if dir, base := path.Split(e.Name); base == "data.pkl" && strings.Count(dir, "/") == 1 {
			folder = dir
		}
	}
	if folder == "" {
		return nil, errors.New("this zip archive is no PyTorch checkpoint: it holds no data.pkl")
	}
	// PyTorch stores entries as they are. Refusing compressed ones leaves no
	// way to make a small file unfold into a large one.
	stored := func(e *zip.File) error {
		if e.Method != zip.Store || e.CompressedSize64 != e.UncompressedSize64 || e.UncompressedSize64 > uint64(size) {
			return fmt.Errorf("entry %s is compressed or larger than the file", e.Name)
		}
		return nil
	}
	persist := func(id Tuple) (any, error) {
		s, key, err := storageOf(id)
		if err != nil {
			return nil, err
		}
		e := entries[folder+"data/"+key]
		if e == nil {
			return nil, fmt.Errorf("the numbers of storage %q are missing", key)
		}
		if err := stored(e); err != nil {
			return nil, err
		}
		if want := uint64(s.numel) * uint64(dtypes[s.dtype].size); e.UncompressedSize64 != want {
			return nil, fmt.Errorf("storage %q has %d bytes, its description says %d", key, e.UncompressedSize64, want)
		}
		s.open = e.Open
		return s, nil
	}
	pickle := entries[folder+"data.pkl"]
	if err := stored(pickle); err != nil {
		return nil, err
	}
	r, err := pickle.Open()
	if err != nil {
		return nil, fmt.Errorf("the archive is damaged: %w", err)
	}
	defer r.Close()
	raw, err := io.ReadAll(r) // to its end, so that the CRC is compared before the pickle is believed
	if err != nil {
		return nil, fmt.Errorf("the archive is damaged: %w", err)
	}
	v, _, err := runPickle(bytes.NewReader(raw), int64(len(raw)), persist)
	return v, err
}

// openLegacy reads the format before PyTorch 1.6: a magic number, a protocol
// version, a description of the machine, the object and the list of storage
// keys, each a pickle, then for each key a count and the raw numbers.
func openLegacy(f io.ReaderAt, size int64) (any, error) {
	magic := []byte{opProto, 2, opLong1, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, opStop}
	head := make([]byte, len(magic))
	if _, err := f.ReadAt(head, 0); err != nil || !bytes.Equal(head, magic) {
		return nil, errors.New("this pickle is no PyTorch checkpoint: its magic number is missing")
	}
	storages := map[string]*storage{}
	persist := func(id Tuple) (any, error) {
		s, key, err := storageOf(id)
		if err != nil {
			return nil, err
		}
		if known := storages[key]; known != nil {
			if known.dtype != s.dtype || known.numel != s.numel {
				return nil, fmt.Errorf("storage %q is described twice, differently", key)
			}
			return known, nil
		}
		storages[key] = s
		return s, nil
	}
	at := int64(len(magic))
	next := func() (any, error) {
		v, n, err := runPickle(io.NewSectionReader(f, at, size-at), size-at, persist)
		at += n
		return v, err
	}
	var object, keys any
	for _, part := range []*any{new(any), new(any), &object, &keys} {
		var err error
		if *part, err = next(); err != nil {
			return nil, err
		}
	}
	order, ok := keys.(List)
	if !ok {
		return nil, errors.New("the list of storages is missing")
	}
	for _, k := range order {
		key, _ := k.(string)
		s := storages[key]
		if s == nil {
			return nil, fmt.Errorf("storage %v is listed but not described", k)
		}
		var count [8]byte
		if _, err := f.ReadAt(count[:], at); err != nil {
			return nil, fmt.Errorf("the file is cut off: %w", err)
		}
		if got := binary.LittleEndian.Uint64(count[:]); got != uint64(s.numel) {
			return nil, fmt.Errorf("storage %q holds %d numbers, its description says %d", key, got, s.numel)
		}
		bytes := int64(s.numel) * int64(dtypes[s.dtype].size)
		if bytes > size-at-8 {
			return nil, fmt.Errorf("storage %q is cut off", key)
		}
		start := at + 8
		s.open = func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(f, start, bytes)), nil }
		at = start + bytes
	}
	for key, s := range storages {
		if s.open == nil {
			return nil, fmt.Errorf("the numbers of storage %q are missing", key)
		}
	}
	return object, nil
}

// storageOf reads a persistent id: ('storage', class, key, location, count, ...).
func storageOf(id Tuple) (*storage, string, error) {
	if len(id) < 5 || id[0] != "storage" {
		return nil, "", errors.New("a persistent id that names no storage")
	}
	class, ok1 := id[1].(global)
	key, ok2 := id[2].(string)
	numel, ok3 := id[4].(int64)
	if !ok1 || !ok2 || !ok3 || numel < 0 || numel > 1<<40 {
		return nil, "", errors.New("a storage that is described wrongly")
	}
	for d, t := range dtypes {
		if class == global("torch "+t.storage) {
			return &storage{dtype: d, numel: int(numel)}, key, nil
		}
	}
	return nil, "", fmt.Errorf("a storage of class %s", class)
}

// rebuildTensor checks that a view stays inside its storage.
func rebuildTensor(args Tuple) (*Tensor, error) {
	if len(args) < 4 {
		return nil, errors.New("a tensor with too few arguments")
	}
	s, ok := args[0].(*storage)
	offset, ok2 := args[1].(int64)
	shape, err1 := integers(args[2])
	strides, err2 := integers(args[3])
	if !ok || !ok2 || err1 != nil || err2 != nil || len(shape) != len(strides) || offset < 0 {
		return nil, errors.New("a tensor that is described wrongly")
	}
	t := &Tensor{DType: s.dtype, Shape: shape, strides: strides, offset: int(offset), storage: s}
	if slices.Contains(shape, 0) {
		t.offset = 0
		return t, nil
	}
	count, last := 1, int(offset)
	for i, d := range shape {
		if count > s.numel/d || d > 1 && strides[i] > s.numel {
			return nil, fmt.Errorf("a tensor of shape %v and strides %v in a storage of %d numbers", shape, strides, s.numel)
		}
		count *= d
		last += (d - 1) * strides[i]
	}
	if last >= s.numel {
		return nil, fmt.Errorf("a tensor of shape %v, strides %v and offset %d overruns its storage of %d numbers", shape, strides, offset, s.numel)
	}
	return t, nil
}

func integers(v any) ([]int, error) {
	t, ok := v.(Tuple)
	if !ok {
		return nil, errors.New("no tuple")
	}
	out := make([]int, len(t))
	for i, x := range t {
		n, ok := x.(int64)
		if !ok || n < 0 || n > 1<<40 {
			return nil, errors.New("no size")
		}
		out[i] = int(n)
	}
	return out, nil
}
