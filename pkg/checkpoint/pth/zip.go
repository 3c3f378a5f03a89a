package pth

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"strings"
)

// archive is a checkpoint of the zip format.
type archive struct {
	source
	folder   string // that all entries are in, with its slash; PyTorch takes any
	entries  map[string]*zip.File
	storages map[string]*storage
}

func parseZip(src source) (any, error) {
	r, err := zip.NewReader(src.file, src.size)
	if errors.Is(err, zip.ErrFormat) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, damaged("the zip archive is cut off or its directory was changed")
	}
	if err != nil {
		return nil, fmt.Errorf("its zip directory: %w", err)
	}
	a := &archive{source: src, entries: map[string]*zip.File{}, storages: map[string]*storage{}}
	for _, e := range r.File {
		if a.entries[e.Name] != nil {
			return nil, damaged("the zip archive has two entries %.100q", e.Name)
		}
		a.entries[e.Name] = e
		if dir, base := path.Split(e.Name); base == "data.pkl" && strings.Count(dir, "/") == 1 {
			if a.folder != "" {
				return nil, damaged("the zip archive has two entries data.pkl")
			}
			a.folder = dir
		}
	}
	if a.folder == "" {
		return nil, foreign("it is a zip archive without data.pkl")
	}
	if a.entries[a.folder+"constants.pkl"] != nil {
		return nil, refused("it is a TorchScript program; save its state_dict instead")
	}
	if e := a.entries[a.folder+"byteorder"]; e != nil {
		if order, err := a.content(e); err != nil {
			return nil, err
		} else if string(order) != "little" {
			return nil, refused("its numbers are in the byte order %.20q; only \"little\" is read", order)
		}
	}
	pickle, err := a.content(a.entries[a.folder+"data.pkl"])
	if err != nil {
		return nil, err
	}
	v, _, err := runPickle(bytes.NewReader(pickle), int64(len(pickle)), a.storage)
	if err != nil {
		return nil, err
	}
	return src.plain(v)
}

// place returns the first byte of an entry that is stored as it is.
func (a *archive) place(e *zip.File) (int64, error) {
	if e.Method != zip.Store || e.CompressedSize64 != e.UncompressedSize64 || e.Flags&1 != 0 {
		return 0, refused("entry %.100q is compressed or encrypted, which PyTorch never does", e.Name)
	}
	start, err := e.DataOffset()
	if errors.Is(err, zip.ErrFormat) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, damaged("entry %.100q is not where the zip directory says", e.Name)
	}
	if err != nil {
		return 0, err
	}
	if start < 0 || start > a.size || e.UncompressedSize64 > uint64(a.size-start) {
		return 0, damaged("entry %.100q is longer than the file", e.Name)
	}
	return start, nil
}

// content reads all of an entry and compares its checksum.
func (a *archive) content(e *zip.File) ([]byte, error) {
	start, err := a.place(e)
	if err != nil {
		return nil, err
	}
	out := make([]byte, e.UncompressedSize64)
	if n, err := a.file.ReadAt(out, start); n < len(out) {
		return nil, fmt.Errorf("entry %.100q: %w", e.Name, err)
	}
	if got := crc32.ChecksumIEEE(out); got != e.CRC32 {
		return nil, damaged("entry %.100q has checksum %08x, want %08x: its bytes were changed", e.Name, got, e.CRC32)
	}
	return out, nil
}

// storage finds the entry that a persistent id stands for.
func (a *archive) storage(id Tuple) (*storage, error) {
	s, err := a.describe(id)
	if err != nil {
		return nil, err
	}
	if known := a.storages[s.key]; known != nil && known.dtype == s.dtype && known.numel == s.numel {
		return known, nil
	}
	e := a.entries[a.folder+"data/"+s.key]
	if e == nil {
		return nil, damaged("the numbers of storage %q are missing", s.key)
	}
	if s.start, err = a.place(e); err != nil {
		return nil, err
	}
	if e.UncompressedSize64 != uint64(s.bytes()) {
		return nil, damaged("storage %q has %d bytes, its description says %d", s.key, e.UncompressedSize64, s.bytes())
	}
	s.crc, s.hasCRC, s.placed = e.CRC32, true, true
	a.storages[s.key] = s
	return s, nil
}
