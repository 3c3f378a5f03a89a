//go:build linux

// Command plugin installs XLA's plugin for the CPU into a folder with go-xla's own
// installer, from the releases of github.com/gomlx/pjrt-cpu-binaries, in the
// version that go-xla was tested with:
//
//	go run ./pkg/cmd/xlaplugin FOLDER
//
// Set-up calls it where PyPI has no plugin for the processor, or cannot be
// reached. It is a program of its own so that set-up links nothing of it.
package main

import (
	"fmt"
	"os"

	"github.com/gomlx/go-xla/installer"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: plugin FOLDER")
		os.Exit(2)
	}
	if err := installer.CPUAutoInstall(os.Args[1], false, installer.Quiet); err != nil {
		fmt.Fprintln(os.Stderr, "❌", err)
		os.Exit(1)
	}
}
