package durable

import (
	"encoding/json"
	"fmt"
	"os"
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
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
