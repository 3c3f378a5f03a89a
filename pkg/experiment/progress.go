package experiment

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"rekindle/pkg/durable"
)

// Progress is progress.json: where a training run is at this moment, for whoever
// watches it from elsewhere. Whoever holds the experiment's lock writes it, about once a
// second, also while nothing moves, as a sign of life, and removes it when training ends
// in whatever way it can. A file that is there and grows old is what a killed run leaves;
// the next session replaces it. Nothing is ever resumed from it.
type Progress struct {
	Owner
	Updated time.Time `json:"updated"` // the program lived
	Moved   time.Time `json:"moved"`   // a batch was finished last; zero: none yet

	FromEpoch int `json:"from_epoch"` // the first one of this session, 1-based
	Epoch     int `json:"epoch"`      // under way, 1-based
	NumEpochs int `json:"num_epochs"`
	Batch     int `json:"batch"` // finished ones of the epoch
	Batches   int `json:"batches"`

	Loss            Number  `json:"loss"`              // mean of the epoch under way; null: not known
	ImagesPerSecond float64 `json:"images_per_second"` // 0: not known
	MemoryMB        float64 `json:"memory_mb"`         // held by the process, MB of 2^20 bytes; 0: not known
	OnGPU           bool    `json:"on_gpu"`            // it is the GPU's memory
	SecondsLeft     float64 `json:"seconds_left"`      // at the time Updated; 0: not known
}

// ProgressPath is the [Progress].
func (e *Experiment) ProgressPath() string { return filepath.Join(e.Dir, "progress.json") }

// SaveProgress replaces the file at once or not at all. It does not wait for the
// disk: after a power cut the file is of no use, and once a second would wear it.
func (e *Experiment) SaveProgress(p Progress) error {
	raw, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	// One name: there is one writer, and a killed one leaves nothing that is not replaced.
	unfinished := filepath.Join(e.Dir, durable.TempPrefix+"progress.json")
	if err := os.WriteFile(unfinished, append(raw, '\n'), 0o666); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	if err := os.Rename(unfinished, e.ProgressPath()); err != nil {
		return fmt.Errorf("experiment: %w", err)
	}
	return nil
}

// RemoveProgress says that training is over.
func (e *Experiment) RemoveProgress() error {
	if err := os.Remove(e.ProgressPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("experiment: %w", err)
	}
	return nil
}

// LoadProgress reads where a run is; fs.ErrNotExist where none is under way.
func (e *Experiment) LoadProgress() (Progress, error) {
	var p Progress
	if err := durable.ReadJSON(e.ProgressPath(), &p); err != nil {
		return p, fmt.Errorf("experiment: %w", err)
	}
	return p, nil
}

// Signed returns who has signed the experiment's lock without touching it: whoever
// trains, or one who was killed. ok is false where nobody has.
func (e *Experiment) Signed() (owner Owner, ok bool) {
	f, err := os.Open(filepath.Join(e.Dir, ".lock"))
	if err != nil {
		return owner, false
	}
	defer f.Close()
	owner, ok = readOwner(f)
	return owner, ok && (owner.File == 0 || owner.File == inode(f)) // else copied while it was trained
}

// Myself is this process as the owner of a lock.
func Myself() Owner {
	host, _ := os.Hostname()
	return Owner{PID: os.Getpid(), Host: host, Program: filepath.Base(os.Args[0]), Since: time.Now()}
}
