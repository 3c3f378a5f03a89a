package setup

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"rekindle/pkg/durable"
)

// gopls completes code and shows help in cells. GoNB asks it, where it is on PATH.
const (
	goplsModule  = "golang.org/x/tools/gopls"
	goplsVersion = "v0.21.1" // builds with the Go of go.mod
)

func (s *Clone) HasGopls() bool {
	info, err := buildinfo.ReadFile(filepath.Join(s.bin(), "gopls"))
	return err == nil && info.Main.Version == goplsVersion
}

// BuildGopls builds gopls, unless it is there, or until ctx ends. It is there when it
// is whole: a kernel that runs finds it at the next question.
func (s *Clone) BuildGopls(ctx context.Context) error {
	if s.HasGopls() {
		return nil
	}
	dir, remove, err := durable.Scratch(filepath.Join(s.Dir, "build"), "gopls")
	if err != nil {
		return err
	}
	defer remove()
	fmt.Printf("🔧 Building gopls %s, for completion (Tab) and help (Shift-Tab) in cells; it takes a minute or two\n", goplsVersion)
	// Lowest priority: somebody may be about to train.
	name, args := "go", []string{"install", goplsModule + "@" + goplsVersion}
	if nice, err := exec.LookPath("nice"); err == nil {
		name, args = nice, append([]string{"-n", "19", "go"}, args...)
	}
	if err := s.Logged(ctx, []string{"GOBIN=" + dir, "GOFLAGS=-buildvcs=false", "GOEXPERIMENT="}, name, args...); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, "gopls"), filepath.Join(s.bin(), "gopls")); err != nil {
		return err
	}
	fmt.Println("✅ Completion (Tab) and help (Shift-Tab) answer in cells from now on")
	return nil
}
