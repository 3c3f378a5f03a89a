package experiment

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rekindle/pkg/durable"
)

// Lock keeps a second writer out of an experiment. The kernel holds it (flock),
// so it ends with the process however that ends, and nothing stale stays
// behind. Readers never need it.
type Lock struct {
	file *os.File

	// Warning is a sentence for people where the lock keeps nobody out, because the
	// file system has none; "" where it does.
	Warning string
}

// Owner is who holds a lock.
type Owner struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Program string    `json:"program"`
	Since   time.Time `json:"since"`
	File    uint64    `json:"file,omitempty"` // the lock file's inode, which a copy of the folder has not
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
	if durable.MayOnlyRead(err) {
		return nil, fmt.Errorf("experiment: %s may only be read, and what is %s writes there (%w); copy the folder to a place of yours, name that place in ExperimentsDir, and go on there", e.Dir, doing, err)
	}
	if err != nil {
		return nil, fmt.Errorf("experiment: %w", err)
	}
	free, err := tryLock(f)
	if !free {
		defer f.Close()
		locked := &LockedError{Dir: e.Dir, Doing: doing}
		if owner, signed := readOwner(f); signed {
			locked.Owner = owner
		}
		return nil, locked
	}
	l := &Lock{file: f}
	if err != nil {
		l.Warning = e.unguarded(f, doing, err)
	}
	if err := l.sign(); err != nil {
		f.Close()
		return nil, fmt.Errorf("experiment: lock %s: %w", e.Dir, err)
	}
	return l, nil
}

// tryLock is a variable for the sake of tests: no file system at hand lacks locks.
var tryLock = durable.TryLock

// readOwner reads who signed a lock, if anybody did. An owner that is just starting
// has written nothing yet.
func readOwner(f *os.File) (owner Owner, signed bool) {
	raw, err := io.ReadAll(f)
	return owner, err == nil && json.Unmarshal(raw, &owner) == nil && owner.PID != 0
}

// unguarded says what a file system without locks means for who has just come.
func (e *Experiment) unguarded(f *os.File, doing string, why error) string {
	owner, signed := readOwner(f)
	host, _ := os.Hostname()
	switch {
	case signed && owner.Host == host && owner.PID != os.Getpid() && unix.Kill(owner.PID, 0) != unix.ESRCH, signed && owner.Host != host:
		return fmt.Sprintf("%s: pid %d (%s) on %s has worked on this experiment since %s and has not said that it ended. %v, so nothing keeps two apart: if it still runs, stop this one, or each will overwrite what the other saves",
			filepath.Base(e.Dir), owner.PID, owner.Program, owner.Host, owner.Since.Format("2006-01-02 15:04:05"), sentence(why))
	}
	return fmt.Sprintf("%v: see to it that %s is %s by one process at a time, or each will overwrite what the other saves", sentence(why), filepath.Base(e.Dir), doing)
}

// sentence begins an error's text with a capital letter.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// sign writes who holds the lock into it.
func (l *Lock) sign() error {
	owner := Myself()
	owner.File = inode(l.file)
	raw, err := json.Marshal(owner)
	if err != nil {
		return err
	}
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err = l.file.WriteAt(append(raw, '\n'), 0)
	return err
}

// inode identifies a file on its disk; 0 where that is not told.
func inode(f *os.File) uint64 {
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		return sys.Ino
	}
	return 0
}

// Keep takes the lock of e again where its file is another one: somebody has removed
// it, or the folder was removed and made again.
func (l *Lock) Keep(e *Experiment) error {
	ours, err := l.file.Stat()
	if err != nil {
		return err
	}
	if there, err := os.Stat(filepath.Join(e.Dir, ".lock")); err == nil && os.SameFile(ours, there) {
		return nil
	}
	again, err := e.Lock()
	if err != nil {
		return err
	}
	l.file.Close()
	l.file = again.file
	return nil
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
	owner, signed := readOwner(f)
	if !signed || owner.File != 0 && owner.File != inode(f) { // copied while it was trained
		return owner, false
	}
	// Somebody signed it. Taking the lock, for the moment until f is closed, shows whether he lives.
	return owner, unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil
}
