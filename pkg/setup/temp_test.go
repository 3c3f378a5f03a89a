package setup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rekindle/pkg/internal/disk"
	"rekindle/pkg/internal/standin"
)

func TestAFolderForTemporaryFilesThatWillNotDoIsNamed(t *testing.T) {
	if err := checkTemp(); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("TMPDIR", none)
	if err := checkTemp(); err == nil || !strings.HasPrefix(err.Error(), "TMPDIR is "+none+", where no files can be made") {
		t.Errorf("a folder that is not there: %v", err)
	}
	t.Setenv("TMPDIR", ".")
	if err := checkTemp(); err == nil || !strings.HasPrefix(err.Error(), "TMPDIR is ., which is another folder for the kernel") {
		t.Errorf("a relative one: %v", err)
	}
	t.Setenv("TMPDIR", "")
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOEXEC, "size=1m"); err != nil {
		t.Skipf("a disk cannot be mounted here (%v): run the tests as root", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	t.Setenv("TMPDIR", dir)
	if err := checkTemp(); err == nil || !strings.Contains(err.Error(), "TMPDIR is "+dir+", where no programs can be started") {
		t.Errorf("noexec: %v", err)
	}
}

func TestLittleRoomForTemporaryFilesIsSaid(t *testing.T) {
	dir := disk.Small(t, "20m")
	t.Setenv("TMPDIR", dir)
	said := standin.Printed(t, func() {
		if err := checkTemp(); err != nil {
			t.Error(err)
		}
	})
	if !strings.Contains(said, "TMPDIR is "+dir+", which has ") || !strings.Contains(said, "set TMPDIR to a folder") {
		t.Errorf("got %q", said)
	}
}

// The Go tool needs the same folder before this program is built, and a home for
// what it keeps.
func TestMakeSaysWhatGoNeeds(t *testing.T) {
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ env, target, want string }{
		{"TMPDIR=/none/here", "build/bin/launch", "❌ TMPDIR is /none/here"},
		{"HOME=", "where-home-is", top + "/.home"},
		{"HOME=/none/here", "where-home-is", top + "/.home"},
		{"HOME=" + top, "where-home-is", top + "\n"},
		{"GOWORK=/none/go.work", "build/bin/launch", ""}, // of other modules
		{"GO111MODULE=off", "build/bin/launch", ""},
		{"GOFLAGS=-mod=vendor", "build/bin/launch", ""},
	} {
		cmd := exec.Command("make", "--no-print-directory", "-C", top, c.target)
		cmd.Env = append(os.Environ(), c.env)
		out, err := cmd.CombinedOutput()
		if failed := strings.HasPrefix(c.want, "❌"); !strings.Contains(string(out), c.want) || (err != nil) != failed {
			t.Errorf("%s make %s: %v\n%s", c.env, c.target, err, out)
		}
	}
}

func TestAPathThatGoOrAShellCannotUseIsNamed(t *testing.T) {
	colon := (&Clone{Dir: filepath.Join(t.TempDir(), "a:b")}).All(t.Context())
	if colon == nil || !strings.Contains(colon.Error(), "a:b has a colon in its path") {
		t.Errorf("a colon: %v", colon)
	}
	makefile, err := filepath.Abs("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"new\nline", "caf\xe9"} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Skipf("the file system takes no such name: %v", err)
		}
		out, err := exec.Command("make", "-C", dir, "-f", makefile, "build/bin/launch").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "❌ Go does not build in a folder whose path") {
			t.Errorf("%q: %v\n%s", name, err, out)
		}
	}
}

func TestMakeSaysWhereNothingCanBeBuilt(t *testing.T) {
	makefile, err := filepath.Abs("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	make := func(dir string) string {
		out, err := exec.Command("make", "-C", dir, "-f", makefile, "build/bin/launch").CombinedOutput()
		if err == nil {
			t.Errorf("%s: no error", dir)
		}
		return string(out)
	}
	readOnly := standin.Clone(t)
	disk.ReadOnly(t, readOnly)
	if err := (&Clone{Dir: readOnly}).All(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "set-up and runs write into "+readOnly+"/build, where you may not") {
		t.Errorf("another user's, built: %v", err)
	}
	if said := make(readOnly); !strings.Contains(said, "❌ What is built goes into "+readOnly+"/build, where you may not write; make a clone of your own") {
		t.Errorf("another user's: %s", said)
	}
	noexec := t.TempDir()
	if err := unix.Mount("tmpfs", noexec, "tmpfs", unix.MS_NOEXEC, "size=20m"); err != nil {
		t.Skipf("a disk cannot be mounted here (%v): run the tests as root", err)
	}
	defer unix.Unmount(noexec, unix.MNT_DETACH)
	standin.Write(t, filepath.Join(noexec, "go.mod"), "module small\n\ngo 1.26\n", 0o666)
	standin.Write(t, filepath.Join(noexec, "pkg/cmd/launch/main.go"), "package main\n\nfunc main() {}\n", 0o666)
	if said := make(noexec); !strings.Contains(said, "❌ "+noexec+" is on a disk where no programs can be started") {
		t.Errorf("noexec: %s", said)
	}
}
