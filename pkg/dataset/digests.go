package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"time"

	"rekindle/pkg/derived"
	"rekindle/pkg/durable"
	"rekindle/pkg/machine"
)

// digests remembers the checksums of a folder's files from one process to the
// next, in a file of the user's cache folder. Whatever is wrong with that file,
// the checksums are computed: it saves time, and nothing depends on it.
type digests struct {
	dir, path string // path is "" where nothing is kept

	mu    sync.Mutex
	known map[string]derived.Stamp // by file name
	fresh bool                     // the file does not know all of them
}

// tooYoung is for how long after a change a file may change again without its
// time telling: FAT counts in steps of two seconds.
const tooYoung = 2 * time.Second

func openDigests(dir string) *digests {
	d := &digests{dir: dir, known: map[string]derived.Stamp{}}
	cache, err := machine.CacheFolder("digests")
	full, e := filepath.Abs(dir)
	if err != nil || e != nil || cache == "" {
		return d
	}
	name := sha256.Sum256([]byte(full))
	d.path = filepath.Join(cache, hex.EncodeToString(name[:16])+".json")
	if raw, err := os.ReadFile(d.path); err != nil || json.Unmarshal(raw, &d.known) != nil {
		d.known = map[string]derived.Stamp{}
	}
	return d
}

// of returns the SHA-256 of a file, hexadecimal.
func (d *digests) of(name string) (string, error) {
	path := filepath.Join(d.dir, name)
	name = durable.Printable(name)
	d.mu.Lock()
	stamp, listed := d.known[name]
	d.mu.Unlock()
	now, holds := stamp, false
	if listed {
		now, holds = stamp.Holds(path)
	}
	if !holds {
		var err error
		if now, err = derived.Take(path); err != nil {
			return "", err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(time.Unix(0, now.Time)) > tooYoung {
		d.known[name] = now
		d.fresh = d.fresh || now != stamp
	}
	return now.SHA256, nil
}

// save keeps what is new.
func (d *digests) save() {
	if d.path == "" || !d.fresh {
		return
	}
	raw, err := json.Marshal(d.known)
	if err == nil && os.MkdirAll(filepath.Dir(d.path), 0o700) == nil {
		_ = durable.WriteFile(d.path, raw)
	}
}
