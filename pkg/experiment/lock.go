package experiment

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"rekindle/pkg/durable"
)

// Lock keeps a second writer out of an experiment. The kernel holds it (flock),
// so it ends with the process however that ends, and nothing stale stays
// behind. Readers never need it.
type Lock struct{ file *os.File }

// Owner is who holds a lock.
type Owner struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Program string    `json:"program"`
	Since   time.Time `json:"since"`
}

// LockedError is returned when another process trains or evaluates the experiment.
type LockedError struct {
	Dir   string
	Doing string // "trained" or "evaluated"
	Owner Owner  // zero where the other process has not said who it is
}

func (e *LockedError) Error() string {
	who := "another process"
	if e.Owner.PID != 0 {
		who = fmt.Sprintf("pid %d (%s) on %s since %s", e.Owner.PID, e.Owner.Program, e.Owner.Host, e.Owner.Since.Format("2006-01-02 15:04:05"))
	}
	return fmt.Sprintf("experiment: %s is being %s by %s; wait for it, stop it, or start a new experiment", e.Dir, e.Doing, who)
}

// Lock takes the experiment for writing, or returns a [LockedError] at once. Catch
// signals before: whoever is killed by one leaves it signed, see [Experiment.Died].
func (e *Experiment) Lock() (*Lock, error) { return e.lock(".lock", "trained") }

func (e *Experiment) lock(name, doing string) (*Lock, error) {
	f, err := os.OpenFile(filepath.Join(e.Dir, name), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("experiment: %w", err)
	}
	free, err := durable.TryLock(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("experiment: lock %s: %w", e.Dir, err)
	}
	if !free {
		defer f.Close()
		locked := &LockedError{Dir: e.Dir, Doing: doing}
		if raw, err := io.ReadAll(f); err == nil {
			_ = json.Unmarshal(raw, &locked.Owner) // an owner that is just starting has written nothing yet
		}
		return nil, locked
	}
	l := &Lock{f}
	if err := l.sign(); err != nil {
		f.Close()
		return nil, fmt.Errorf("experiment: lock %s: %w", e.Dir, err)
	}
	return l, nil
}

// sign writes who holds the lock into it.
func (l *Lock) sign() error {
	host, _ := os.Hostname()
	raw, err := json.Marshal(Owner{os.Getpid(), host, filepath.Base(os.Args[0]), time.Now()})
	if err != nil {
		return err
	}
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err = l.file.WriteAt(append(raw, '\n'), 0)
	return err
}

// Release gives the lock back. The file stays, empty: removing it would let two
// processes lock two different files of the same name.
func (l *Lock) Release() error {
	return errors.Join(l.file.Truncate(0), l.file.Close())
}

// Died returns the process that trained the experiment last if it did not live
// to release its lock: it was killed, or the machine went down.
func (e *Experiment) Died() (owner Owner, died bool) {
	f, err := os.Open(filepath.Join(e.Dir, ".lock"))
	if err != nil {
		return owner, false
	}
	defer f.Close()
	raw, err := io.ReadAll(f)
	if err != nil || json.Unmarshal(raw, &owner) != nil {
		return owner, false
	}
	// Somebody signed it. Taking the lock, for the moment until f is closed, shows whether he lives.
	return owner, unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil
}
