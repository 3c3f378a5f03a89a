package setup

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"rekindle/pkg/machine"
)

// wanted is the room that cells are built in: a program, its parts, and the one before.
const wanted = 200 << 20

// checkTemp tries what Go and the kernel need of the folder for temporary files:
// cells are programs that are built and started there.
func checkTemp() error {
	dir, name := os.TempDir(), "TMPDIR"
	if os.Getenv(name) == "" {
		name = "TMPDIR is not set, so the folder for temporary files"
	}
	advice := "set TMPDIR to a folder on a disk of yours, for example: mkdir -p build/tmp && TMPDIR=$PWD/build/tmp make run"
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("%s is %s, which is another folder for the kernel than for this program; %s", name, dir, advice)
	}
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
	if free, err := machine.FreeDisk(dir); err == nil && free < wanted {
		fmt.Printf("⚠️  %s is %s, which has %d MB free; building cells takes up to %d MB there, so one of them may end with \"no space left on device\": make room, or %s\n", name, dir, free>>20, wanted>>20, advice)
	}
	return nil
}
