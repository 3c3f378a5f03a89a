package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"rekindle/pkg/checkpoint/pth"
)

// ErrDamaged is returned, wrapped, when a file is no whole checkpoint: cut off,
// changed, or never one. A file that the system does not give out
// (fs.ErrPermission) may be whole, and so is one that a newer version wrote.
var ErrDamaged = errors.New("not a whole checkpoint")

// errNewer is wrapped by errors about files of a later format.
var errNewer = errors.New("update this clone to read it")

// damage is what is wrong with a file's content.
type damage struct {
	path  string
	cause error
}

func (d *damage) Error() string {
	return fmt.Sprintf("checkpoint: %s is damaged: %s", filepath.Base(d.path), d.reason())
}

func (d *damage) Unwrap() []error { return []error{ErrDamaged, d.cause} }

// reason is the cause without what is said already: that it is a file, which,
// and that it is damaged.
func (d *damage) reason() string {
	return strings.NewReplacer("pth: ", "", d.path+": ", "", pth.ErrDamaged.Error()+": ", "").Replace(d.cause.Error())
}

// whyDamaged is the reason in an error that wraps [ErrDamaged].
func whyDamaged(err error) string {
	var d *damage
	if errors.As(err, &d) {
		return d.reason()
	}
	return err.Error()
}

// unusable turns what went wrong with reading a file into one sentence.
func unusable(path string, err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := dangling(path); err != nil {
			return err
		}
		return fmt.Errorf("checkpoint: %s: %w", path, fs.ErrNotExist)
	case errors.As(err, &errno):
		return fmt.Errorf("checkpoint: %s cannot be read: %w; make it readable, or move it out of the folder to do without it", path, errno)
	case errors.Is(err, errNewer):
		return fmt.Errorf("checkpoint: %s %w, or move it out of the folder to do without it", path, err)
	}
	return &damage{path, err}
}

// dangling is what is wrong with a link that leads nowhere, as when a disk is not
// mounted: what it leads to may be the newest. It is nil for what is not there at all.
func dangling(path string) error {
	to, err := os.Readlink(path)
	if err != nil {
		return nil
	}
	return fmt.Errorf("checkpoint: %s cannot be read: it is a link to %s, which is not there; mount its disk, or move it out of the folder to do without it", path, to)
}
