package setup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/internal/standin"
)

// waitFor waits until a file has content, and returns that.
func waitFor(t *testing.T, path string) string {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < 20*time.Second; time.Sleep(10 * time.Millisecond) {
		if text, _ := os.ReadFile(path); strings.HasSuffix(string(text), "\n") {
			return strings.TrimSpace(string(text))
		}
	}
	t.Fatalf("%s was not written", path)
	return ""
}

// A pip that goes on would write into the .venv that the next set-up makes.
func TestASignalEndsAnInstallationWithAllThatItStarted(t *testing.T) {
	s := clone(t)
	tools, child := t.TempDir(), filepath.Join(t.TempDir(), "child")
	standin.Write(t, filepath.Join(tools, "python3"), "#!/bin/sh\nmkdir -p "+s.venv()+"\n(trap '' INT; exec sleep 100) &\necho $! > "+child+"\ntrap '' INT\nwait\n", 0o777)
	standin.Write(t, filepath.Join(tools, "apt-get"), "#!/bin/sh\necho called > "+child+".apt\n", 0o777)
	t.Setenv("PATH", tools+":/usr/bin:/bin")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	said := standin.Printed(t, func() {
		go func() { ended <- s.installJupyter(ctx) }()
		pid, _ := strconv.Atoi(waitFor(t, child))
		cancel()
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want that it was interrupted", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("it does not end")
		}
		for begun := time.Now(); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
			if time.Since(begun) > 5*time.Second {
				t.Errorf("what pip has started goes on, process %d", pid)
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	if _, err := os.Stat(s.venv()); err == nil || strings.Contains(said, "apt-get") {
		t.Errorf("after the interruption: .venv %v, said %q", err, said)
	}
}

// dpkg that is killed leaves packages which nobody can use until "dpkg --configure -a".
func TestASignalLetsAptEndWhatItUnpacks(t *testing.T) {
	s := clone(t)
	tools, done := t.TempDir(), filepath.Join(t.TempDir(), "done")
	standin.Write(t, filepath.Join(tools, "sudo"), "#!/bin/sh\nshift\nexec \"$@\"\n", 0o777)
	standin.Write(t, filepath.Join(tools, "apt-get"), "#!/bin/sh\ncase \"$*\" in *update*) exit;; esac\ntrap '' INT\necho unpacking > "+done+".begun\nsleep 2\necho \"$@\" > "+done+"\n", 0o777)
	t.Setenv("PATH", tools+":/usr/bin:/bin")
	ctx, cancel := context.WithCancel(t.Context())
	standin.Printed(t, func() {
		go func() { waitFor(t, done+".begun"); cancel() }()
		if err := s.installWithApt(ctx, "some", []string{"package"}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that it was interrupted", err)
		}
	})
	if got := waitFor(t, done); !strings.Contains(got, "DPkg::Lock::Timeout=") {
		t.Errorf("apt-get was called with %q, and does not wait for another one", got)
	}
}
