//go:build linux && amd64

// Command plugin installs XLA's plugin for CUDA, and NVIDIA's libraries that it
// needs, where Rekindle finds them:
//
//	go run ./pkg/backend/plugin
//
// It is go-xla's own installer, in the version that go.mod pins. What it fetches
// from pypi.org, the packages of JAX, it compares with the checksums there. What
// ~/.local/lib/go-xla/nvidia holds is removed first.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gomlx/go-xla/installer"
)

func main() {
	cuda := flag.Int("cuda", 13, "major version of CUDA: 13, or 12 for NVIDIA drivers older than 580")
	version := flag.String("version", "latest", "version of JAX whose plugin it is, such as 0.7.2")
	flag.Parse()
	if err := install(*cuda, *version); err != nil {
		fmt.Fprintln(os.Stderr, "❌", err)
		os.Exit(1)
	}
}

func install(cuda int, version string) error {
	if cuda != 12 && cuda != 13 {
		return fmt.Errorf("-cuda is %d: there are plugins for 12 and 13", cuda)
	}
	lib, err := installer.DefaultHomeLibPath()
	if err != nil {
		return err
	}
	return installer.CudaInstall(fmt.Sprintf("cuda%d", cuda), version, filepath.Join(lib, "go-xla"), true, installer.Normal)
}
