package pth

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
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
		return nil, refused("it is a TorchScript program, which is code; %s", instead)
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

// check refuses entries that cannot be read, or that unpack to more than room bytes.
func (a *archive) check(e *zip.File, room int64) error {
	if e.Flags&1 != 0 {
		return refused("entry %.100q is encrypted", e.Name)
	}
	switch {
	case e.Method != zip.Store && e.Method != zip.Deflate:
		return refused("entry %.100q is compressed by method %d; only deflate is read, zip it again with that", e.Name, e.Method)
	case e.Method == zip.Deflate && e.UncompressedSize64 > uint64(room):
		return refused("entry %.100q is compressed and unpacks to %d bytes, many times the size of the file", e.Name, e.UncompressedSize64)
	case e.Method == zip.Store && e.CompressedSize64 != e.UncompressedSize64:
		return damaged("entry %.100q has two sizes", e.Name)
	}
	start, err := e.DataOffset()
	if errors.Is(err, zip.ErrFormat) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("entry %.100q is not where the zip directory says", e.Name)
	}
	if err != nil {
		return err
	}
	if start < 0 || start > a.size || e.CompressedSize64 > uint64(a.size-start) {
		return damaged("entry %.100q is longer than the file", e.Name)
	}
	return nil
}

// content reads all of an entry and compares its checksum.
func (a *archive) content(e *zip.File) ([]byte, error) {
	if err := a.check(e, maxUnpacking*a.size+1<<16); err != nil {
		return nil, err
	}
	s := &storage{dtype: Uint8, numel: int(e.UncompressedSize64), key: e.Name, source: a.source, crc: e.CRC32, hasCRC: true}
	if err := s.in(e); err != nil {
		return nil, err
	}
	out := make([]byte, e.UncompressedSize64)
	return out, s.fill(0, s.bytes(), out, nil)
}

// storage finds the entry that a persistent id stands for.
func (a *archive) storage(id Tuple) (any, error) {
	if len(id) > 1 {
		if c, ok := id[1].(class); ok { // of complex numbers or 8-bit fractions, for example
			return c.made, nil
		}
	}
	s, err := a.describe(id, a.unpacked())
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
	if err := a.check(e, a.unpacked()); err != nil {
		return nil, err
	}
	if e.UncompressedSize64 != uint64(s.bytes()) {
		return nil, damaged("storage %q has %d bytes, its description says %d", s.key, e.UncompressedSize64, s.bytes())
	}
	if err := s.in(e); err != nil {
		return nil, err
	}
	s.crc, s.hasCRC = e.CRC32, true
	a.storages[s.key] = s
	return s, nil
}
