package dataset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"

	"rekindle/pkg/durable"
	"rekindle/pkg/rgb"
)

// A pack is a file of decoded pictures: a magic line, the number of pictures (32
// bits), for each its identity, width and height (32 bits each), a CRC-32 of all
// that, and then their pixels one after the other, 8-bit RGB. Numbers are
// little-endian.
const (
	packMagic  = "rekindle pixels 3\n"
	packEntry  = len(fileID{}) + 8
	packEnding = ".pixels"
)

// packSize is what the pixels of a pack take at most, but for a picture that is
// larger: DIV2K with one degradation is 13 GB, 52 files, each open.
var packSize = int64(256 << 20)

// pack is one that photos read from. Its file is closed when nobody uses it any
// more, and stays readable when somebody else removes its name.
type pack struct{ file *os.File }

func packHead(photos []*photo) []byte {
	head := binary.LittleEndian.AppendUint32([]byte(packMagic), uint32(len(photos)))
	for _, p := range photos {
		head = append(head, p.id[:]...)
		head = binary.LittleEndian.AppendUint32(head, uint32(p.w))
		head = binary.LittleEndian.AppendUint32(head, uint32(p.h))
	}
	return binary.LittleEndian.AppendUint32(head, crc32.ChecksumIEEE(head))
}

// listed is a picture of a pack as its head says.
type listed struct {
	id     fileID
	w, h   int
	offset int64
}

// readPack reads the head of a pack. It does not believe what does not fit the
// file's size.
func readPack(f *os.File) ([]listed, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	broken := fmt.Errorf("%s is no whole file of decoded pictures", f.Name())
	start := make([]byte, len(packMagic)+4)
	if _, err := f.ReadAt(start, 0); err == io.EOF {
		return nil, broken
	} else if err != nil {
		return nil, err
	}
	n := int64(binary.LittleEndian.Uint32(start[len(packMagic):]))
	if !bytes.HasPrefix(start, []byte(packMagic)) || n*int64(packEntry) > info.Size() {
		return nil, broken
	}
	head := make([]byte, int64(len(start))+n*int64(packEntry)+4)
	if _, err := f.ReadAt(head, 0); err == io.EOF {
		return nil, broken
	} else if err != nil {
		return nil, err
	}
	body, sum := head[:len(head)-4], head[len(head)-4:]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(sum) {
		return nil, broken
	}
	list, at := make([]listed, n), int64(len(head))
	for i := range list {
		e := body[len(start)+i*packEntry:]
		l := &list[i]
		copy(l.id[:], e)
		l.w, l.h = int(binary.LittleEndian.Uint32(e[len(l.id):])), int(binary.LittleEndian.Uint32(e[len(l.id)+4:]))
		l.offset = at
		if at += 3 * int64(l.w) * int64(l.h); at > info.Size() {
			return nil, broken
		}
	}
	if at != info.Size() {
		return nil, broken
	}
	return list, nil
}

// read reads a part of a picture.
func (k *pack) read(p *photo, x, y, w, h int) (*rgb.Image, error) {
	im := rgb.New(w, h)
	rows, n := h, 3*w
	if w == p.w {
		rows, n = 1, n*h // which lie together
	}
	for row := range rows {
		at := p.offset + 3*(int64(y+row)*int64(p.w)+int64(x))
		if _, err := k.file.ReadAt(im.Pix[row*n:(row+1)*n], at); err != nil {
			if err == io.EOF {
				err = fmt.Errorf("%s was cut short: %w", k.file.Name(), io.ErrUnexpectedEOF)
			}
			return nil, err
		}
	}
	return im, nil
}

// newPack is a pack that is being written, to be read from when it is complete.
type newPack struct {
	path   string
	photos []*photo
	done   pack

	mu   sync.Mutex
	out  *durable.File // nil: not begun, or given up
	left int           // pictures not yet in it
	err  error
}

// put writes a picture; the last one completes the pack. Pictures may come in any
// order, from several goroutines. When one has failed, the pack is given up.
func (k *newPack) put(p *photo, im *rgb.Image) {
	k.mu.Lock()
	if k.out == nil && k.err == nil {
		k.err = k.begin()
	}
	out := k.out
	k.mu.Unlock()
	var err error
	if out != nil {
		_, err = out.WriteAt(im.Pix, p.offset)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == nil {
		k.err = err
	}
	if k.left--; k.left > 0 || k.out == nil {
		return
	}
	if k.err == nil {
		k.err = k.out.Commit()
	} else {
		k.out.Abort()
	}
}

func (k *newPack) begin() (err error) {
	if k.out, err = durable.Create(k.path); err != nil {
		return err
	}
	head := packHead(k.photos)
	if _, err = k.out.Write(head); err == nil {
		k.done.file, err = os.Open(k.out.Name())
	}
	at := int64(len(head))
	for _, p := range k.photos {
		p.offset = at
		at += p.bytes()
	}
	return err
}

// abort gives up what is not complete.
func (k *newPack) abort() {
	if k.out != nil {
		k.out.Abort()
	}
}
