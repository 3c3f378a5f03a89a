package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"rekindle/pkg/notebook/ipynb"
)

// Opening a notebook and running it rewrites a file that git tracks. Git asks a
// filter what of the file it is to see (.gitattributes): the cells as they are now,
// with the outputs that are committed. So "git status" shows a notebook whose cells
// were edited, "git diff" the edit, and neither shows one that was only run.

// filterCommand works from the top of the clone. Where the program is not built, git
// sees the file as it is.
const filterCommand = `sh -c 'if [ -x build/bin/launch ]; then exec build/bin/launch filter "$1"; else cat; fi' -- %f`

// installFilter tells git of the filter, in this clone alone.
func (s *setup) installFilter() error {
	if _, err := os.Stat(filepath.Join(s.clone, ".git")); err != nil {
		return nil // a copy without git
	}
	git := func(args ...string) ([]byte, error) {
		cmd := exec.Command("git", append([]string{"config", "--local"}, args...)...)
		cmd.Dir = s.clone
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
func filter(clone, path string, from io.Reader, to io.Writer) error {
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
