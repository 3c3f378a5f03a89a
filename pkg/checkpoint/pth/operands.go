package pth

import (
	"encoding/binary"
	"io"
	"math"
)

func cutOff() error { return damaged("the pickle is cut off") }

func (m *machine) byte() (byte, error) {
	if m.left < 1 {
		return 0, cutOff()
	}
	m.left--
	m.read++
	b, err := m.r.ReadByte()
	if err == io.EOF {
		err = cutOff()
	}
	return b, err
}

// bytes reads n bytes.
func (m *machine) bytes(n int64) ([]byte, error) {
	if n > m.left {
		return nil, cutOff()
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(m.r, b); err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, cutOff()
	} else if err != nil {
		return nil, err
	}
	m.left -= n
	m.read += n
	return b, nil
}

// width is how many bytes the number behind an operation has.
func width(op byte) int {
	switch op {
	case opBinInt1, opShortUnicode, opShortBinString, opShortBinBytes, opBinPut, opBinGet, opLong1:
		return 1
	case opBinInt2:
		return 2
	case opBinUnicode8, opBinBytes8, opByteArray8:
		return 8
	}
	return 4
}

// unsigned reads a little-endian number of n bytes, at most 4.
func (m *machine) unsigned(n int) (v uint32, err error) {
	for i := range n {
		b, err := m.byte()
		if err != nil {
			return 0, err
		}
		v |= uint32(b) << (8 * i)
	}
	return v, nil
}

// counted reads a length and as many bytes.
func (m *machine) counted(op byte) ([]byte, error) {
	n := width(op)
	low, err := m.unsigned(min(n, 4))
	if err == nil && n == 8 {
		var high uint32
		if high, err = m.unsigned(4); err == nil && high != 0 {
			return nil, cutOff()
		}
	}
	if err != nil {
		return nil, err
	}
	return m.bytes(int64(low))
}

func (m *machine) line() (string, error) {
	var line []byte
	for len(line) <= maxName {
		c, err := m.byte()
		if err != nil {
			return "", err
		}
		if c == '\n' {
			return string(line), nil
		}
		line = append(line, c)
	}
	return "", damaged("the pickle has a class name of more than %d letters", maxName)
}

func (m *machine) number(op byte) error {
	switch op {
	case opBinInt1, opBinInt2:
		v, err := m.unsigned(width(op))
		m.push(int64(v))
		return err
	case opBinInt:
		v, err := m.unsigned(width(op))
		m.push(int64(int32(v)))
		return err
	case opBinFloat:
		b, err := m.bytes(8)
		if err == nil {
			m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
		}
		return err
	}
	b, err := m.counted(op) // opLong1, opLong4
	if err != nil {
		return err
	}
	n := len(b)
	if n > 8 {
		m.push(bigInt(b))
		return nil
	}
	var v uint64
	for i, x := range b {
		v |= uint64(x) << (8 * i)
	}
	if n > 0 && n < 8 && b[n-1] >= 0x80 { // negative: extend the sign
		v |= ^uint64(0) << (8 * n)
	}
	m.push(int64(v))
	return nil
}

func (m *machine) text(op byte) error {
	b, err := m.counted(op)
	if err == nil {
		m.push(string(b))
	}
	return err
}

func (m *machine) octets(op byte) error {
	b, err := m.counted(op)
	if err == nil {
		m.push(b)
	}
	return err
}
