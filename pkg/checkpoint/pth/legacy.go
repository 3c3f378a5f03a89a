package pth

import (
	"encoding/binary"
	"fmt"
	"io"
)

// legacyMagic is the whole number that the old format begins with,
// 0x1950a86a20f9469cfc6c, little-endian.
const legacyMagic = bigInt("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")

// legacy is a checkpoint of the format before PyTorch 1.6: a magic number, a
// protocol version, a description of the machine, the object and the list of
// storage keys, each a pickle; then for each key a count (int64) and the numbers.
type legacy struct {
	source
	at       int64 // how far it is read
	storages map[string]*storage
}

func parseLegacy(src source) (any, error) {
	l := &legacy{source: src, storages: map[string]*storage{}}
	if magic, err := l.next(); err != nil || magic != legacyMagic {
		return nil, foreign("it is a pickle, but not one of PyTorch: its magic number is missing")
	}
	if version, err := l.next(); err != nil {
		return nil, err
	} else if version != int64(1001) {
		return nil, refused("it is of a version of the old format that is not known")
	}
	machine, err := l.next()
	if err != nil {
		return nil, err
	}
	if d, ok := machine.(*Dict); ok {
		if little, ok := d.Get("little_endian"); ok && little != true {
			return nil, refused("it was written on a machine of the other byte order")
		}
	}
	object, err := l.next()
	if err != nil {
		return nil, err
	}
	keys, err := l.next()
	if err != nil {
		return nil, err
	}
	order, ok := keys.(*list)
	if !ok {
		return nil, damaged("the list of storages is missing")
	}
	for _, k := range order.items {
		if err := l.place(k); err != nil {
			return nil, err
		}
	}
	for key, s := range l.storages {
		if !s.placed {
			return nil, damaged("the numbers of storage %q are missing", key)
		}
	}
	return src.plain(object)
}

// next runs the next pickle of the file.
func (l *legacy) next() (any, error) {
	v, n, err := runPickle(io.NewSectionReader(l.file, l.at, l.size-l.at), l.size-l.at, l.storage)
	l.at += n
	return v, err
}

// storage notes the storage that a persistent id stands for.
func (l *legacy) storage(id Tuple) (any, error) {
	if len(id) > 1 && id[0] == "module" { // a class with its source text
		if c, ok := id[1].(class); ok {
			return c, nil
		}
	}
	s, err := l.describe(id, l.size)
	if err != nil {
		return nil, err
	}
	if known := l.storages[s.key]; known != nil {
		if known.dtype != s.dtype || known.numel != s.numel {
			return nil, damaged("storage %q is described twice, differently", s.key)
		}
		return known, nil
	}
	l.storages[s.key] = s
	return s, nil
}

// place notes where the numbers of the next storage are and skips them.
func (l *legacy) place(k any) error {
	key, ok := k.(string)
	s := l.storages[key]
	if !ok || s == nil || s.placed {
		return damaged("the list of storages does not fit the storages of the tensors")
	}
	var count [8]byte
	if n, err := l.file.ReadAt(count[:], l.at); n < len(count) && err == io.EOF {
		return damaged("the file is cut off before storage %q", key)
	} else if n < len(count) {
		return fmt.Errorf("storage %q: %w", key, err)
	}
	if got := binary.LittleEndian.Uint64(count[:]); got != uint64(s.numel) {
		return damaged("storage %q has %d numbers, its description says %d", key, got, s.numel)
	}
	s.start = l.at + int64(len(count))
	if s.bytes() > l.size-s.start {
		return damaged("the file is cut off in storage %q", key)
	}
	s.placed = true
	l.at = s.start + s.bytes()
	return nil
}
