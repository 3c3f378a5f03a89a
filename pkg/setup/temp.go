package setup

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// checkTemp tries what Go and the kernel need of the folder for temporary files:
// cells are programs that are built and started there.
func checkTemp() error {
	dir, name := os.TempDir(), "TMPDIR"
	if os.Getenv(name) == "" {
		name = "TMPDIR is not set, so the folder for temporary files"
	}
	advice := "set TMPDIR to a folder on a disk of yours, for example: mkdir -p build/tmp && TMPDIR=$PWD/build/tmp make run"
	scratch, err := os.MkdirTemp(dir, "rekindle-*")
	if err != nil {
		return fmt.Errorf("%s is %s, where no files can be made (%w); %s", name, dir, err, advice)
	}
	defer os.RemoveAll(scratch)
	program := filepath.Join(scratch, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexit 0\n"), 0o700); err != nil {
		return fmt.Errorf("%s is %s, where no files can be made (%w); %s", name, dir, err, advice)
	}
	err = exec.Command(program).Run()
	for errors.Is(err, syscall.ETXTBSY) { // another thread was just starting a program
		err = exec.Command(program).Run()
	}
	if errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("%s is %s, where no programs can be started (it is mounted with noexec); %s", name, dir, advice)
	}
	return nil
}
