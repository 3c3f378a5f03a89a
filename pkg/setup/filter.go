package setup

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"rekindle/pkg/notebook/ipynb"
)

// Opening a notebook and running it rewrites a file that git tracks. Git asks a
// filter what of the file it is to see (.gitattributes): the cells as they are now,
// with the outputs that are committed. So "git status" shows a notebook whose cells
// were edited, "git diff" the edit, and neither shows one that was only run.
//
// Git takes a file for edited without asking the filter where its size is another
// one than it noted, so it is asked to note the size of notebooks that were only
// run: while a kernel or "make lab" runs, and at each set-up.

// filterCommand works from the top of the clone. Where the program is not built, or
// cannot be run, git sees the file as it is.
const filterCommand = `sh -c 'if build/bin/launch filter </dev/null >/dev/null 2>&1; then exec build/bin/launch filter "$1"; else cat; fi' -- %f`

// installFilter tells git of the filter, in this clone alone.
func (s *Clone) installFilter() error {
	if _, err := os.Stat(filepath.Join(s.Dir, ".git")); err != nil {
		return nil // a copy without git
	}
	git := func(args ...string) ([]byte, error) {
		cmd := exec.Command("git", append([]string{"config", "--local"}, args...)...)
		cmd.Dir = s.Dir
		return cmd.Output()
	}
	const key = "filter.rekindle.clean"
	if known, err := git("--get", key); err == nil && string(bytes.TrimSpace(known)) == filterCommand {
		return nil
	}
	// Where git is missing or refuses, nothing but "git status" is worse for it.
	_, _ = git(key, filterCommand)
	return nil
}

// filter copies a notebook that git asks for, with the outputs that git knows. What
// is no notebook, or new to git, it copies as it is.
func Filter(clone, path string, from io.Reader, to io.Writer) error {
	now, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	cmd := exec.Command("git", "show", ":"+filepath.ToSlash(path))
	cmd.Dir = clone
	if committed, err := cmd.Output(); err == nil {
		now = ipynb.WithStored(now, committed)
	}
	_, err = to.Write(now)
	return err
}

// settling is how often it is looked for notebooks that were saved.
const settling = 3 * time.Second

// settled are the times of the last change of notebooks that were looked at.
type settled map[string]time.Time

// settle has git note the size of notebooks that were saved since the last call and
// differ for git in nothing else. Where git does not work here, that is no matter.
func (s *Clone) settle(seen settled) {
	if _, err := os.Stat(filepath.Join(s.Dir, ".git")); err != nil {
		return
	}
	git := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Dir = s.Dir
		said, err := cmd.Output()
		if err != nil {
			return ""
		}
		return string(bytes.TrimSpace(said))
	}
	_ = filepath.WalkDir(filepath.Join(s.Dir, "notebooks"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".ipynb" {
			return nil
		}
		info, err := d.Info()
		if err != nil || info.ModTime().Equal(seen[path]) || time.Since(info.ModTime()) < time.Second { // it may still be written
			return nil
		}
		seen[path] = info.ModTime()
		file := s.Relative(path)
		known := git("ls-files", "--format=%(objectname)", "--", file)
		if known != "" && git("diff-files", "--name-only", "--", file) != "" && git("hash-object", "--path="+filepath.ToSlash(file), path) == known {
			git("update-index", "--", file)
		}
		return nil
	})
}

// SettleUntil settles until ctx ends.
func (s *Clone) SettleUntil(ctx context.Context) {
	for seen := (settled{}); ; {
		s.settle(seen)
		select {
		case <-ctx.Done():
			return
		case <-time.After(settling):
		}
	}
}

// SettleWhile settles while a process lives, and once after its end.
func (s *Clone) SettleWhile(pid int) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go s.SettleUntil(ctx)
	for syscall.Kill(pid, 0) == nil && os.Getppid() != 1 {
		time.Sleep(settling)
	}
	time.Sleep(settling)
}
