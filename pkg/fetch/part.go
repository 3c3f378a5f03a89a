package fetch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"rekindle/pkg/durable"
)

// part is what has arrived of a file: path.part, and beside it path.part.json,
// which says what the server called that content.
type part struct {
	*os.File
	size  int64
	state partState
}

type partState struct {
	URL       string `json:"url"`
	Validator string `json:"validator"` // ETag or Last-Modified; "" for none
}

// openPart finds what an earlier call left, or begins anew. Bytes from another
// address are used as well: the checksum decides in the end.
func openPart(path, address string) (*part, error) {
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	p := &part{File: f}
	if p.size, err = f.Seek(0, io.SeekEnd); err != nil {
		f.Close()
		return nil, err
	}
	raw, err := os.ReadFile(p.statePath())
	if err == nil {
		err = json.Unmarshal(raw, &p.state)
	}
	if err != nil || p.state.URL != address { // it is a help, not a need
		p.state = partState{URL: address}
	}
	return p, nil
}

func (p *part) statePath() string { return p.Name() + ".json" }

// reset throws away what has arrived and records what will come instead.
func (p *part) reset(validator string) error {
	if p.size > 0 {
		if err := p.Truncate(0); err != nil {
			return final("%w", err)
		}
		if _, err := p.Seek(0, io.SeekStart); err != nil {
			return final("%w", err)
		}
	}
	p.size, p.state.Validator = 0, validator
	raw, err := json.Marshal(p.state)
	if err == nil {
		err = durable.WriteFile(p.statePath(), append(raw, '\n'))
	}
	if err != nil {
		return final("%w", err)
	}
	return nil
}

func (p *part) append(b []byte) error {
	n, err := p.Write(b)
	p.size += int64(n)
	if err != nil {
		return fmt.Errorf("%w; %s have arrived and are kept", err, Size(p.size))
	}
	return nil
}

// commit gives the whole file its name.
func (p *part) commit(path string) error {
	if err := p.Sync(); err != nil {
		return err
	}
	if err := os.Rename(p.Name(), path); err != nil {
		return err
	}
	if err := os.Remove(p.statePath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// Arrived is how many bytes of a file an earlier [Job.Download] to path has
// brought.
func Arrived(path string) int64 {
	for _, name := range []string{path, path + ".part"} {
		if info, err := os.Stat(name); err == nil {
			return info.Size()
		}
	}
	return 0
}
