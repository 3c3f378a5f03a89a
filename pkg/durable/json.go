package durable

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"unicode/utf16"
)

// WriteJSON replaces path by v as indented JSON, all or nothing.
func WriteJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return WriteFile(path, append(raw, '\n'))
}

// ReadJSON reads v from a file. A file that is not there is fs.ErrNotExist, and v as
// it was.
func ReadJSON(path string, v any) error {
	raw, err := ReadText(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// ReadText reads a file as UTF-8 that a person may have saved with an editor: without
// a byte order mark, and from UTF-16 where it has that mark, as PowerShell writes.
func ReadText(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case bytes.HasPrefix(raw, []byte("\xFE\xFF")):
		order = binary.BigEndian
	case !bytes.HasPrefix(raw, []byte("\xFF\xFE")):
		return bytes.TrimPrefix(raw, []byte("\xEF\xBB\xBF")), err
	}
	var units []uint16
	for at := 2; at+1 < len(raw); at += 2 {
		units = append(units, order.Uint16(raw[at:]))
	}
	return []byte(string(utf16.Decode(units))), err
}
