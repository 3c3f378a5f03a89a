package derived

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// recordName is a file that exists while a folder is filled, and after that was
// interrupted: the SHA-256 of each picture that was made here and that the
// manifest does not list, a line each. Without it, a picture made in the last
// moments before a kill, or by the recipe before, would be taken for somebody's.
const recordName = "made_here.sha256"

// record knows the contents that were made here.
type record struct {
	path string
	mu   sync.Mutex
	sums map[string]bool // hexadecimal
}

// readRecord takes what the manifest lists and what the file adds to it. A line
// cut short by a power cut is no checksum, and does no harm.
func readRecord(dir string, m *manifest) (*record, error) {
	r := &record{path: filepath.Join(dir, recordName), sums: map[string]bool{}}
	data, err := os.ReadFile(r.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("derived: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		r.sums[strings.TrimSpace(line)] = true
	}
	for _, e := range m.Pictures {
		r.sums[e.Made.SHA256] = true
	}
	return r, nil
}

func (r *record) has(content []byte) bool {
	sum := sha256.Sum256(content)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sums[hex.EncodeToString(sum[:])]
}

// add appends to the file. It is not flushed to the disk: after a power cut a
// picture may be taken for somebody's, never the other way round.
func (r *record) add(made ...Stamp) error {
	if len(made) == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return fmt.Errorf("derived: %w", err)
	}
	var lines strings.Builder
	for _, s := range made {
		r.sums[s.SHA256] = true
		lines.WriteString(s.SHA256 + "\n")
	}
	_, err = f.WriteString(lines.String())
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("derived: %w", err)
	}
	return nil
}

func (r *record) remove() error {
	if err := os.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("derived: %w", err)
	}
	return nil
}
