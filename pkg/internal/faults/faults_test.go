//go:build linux

package faults

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rekindle/pkg/durable"
)

// TestMain is also the child.
func TestMain(m *testing.M) {
	dir := os.Getenv("FAULTS_TEST_CHILD")
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := Enter(os.NewFile(3, "socket")); err != nil {
		fmt.Println(err)
		os.Exit(0)
	}
	for i := range 3 {
		err := durable.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte("whole"))
		fmt.Println(i, errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EIO), err)
	}
	os.Exit(0)
}

func TestCallsOfAChildFailAsItsParentSays(t *testing.T) {
	dir := t.TempDir()
	ours, childs, err := Socket()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "FAULTS_TEST_CHILD="+dir)
	cmd.ExtraFiles = []*os.File{childs}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	childs.Close()
	watched := make(chan error)
	seen := map[string]int{}
	go func() {
		watched <- Watch(ours, func(c Call) syscall.Errno {
			if !strings.HasPrefix(c.Path, dir) {
				return 0
			}
			seen[c.Name]++
			switch {
			case c.Name == "write" && strings.HasPrefix(filepath.Base(c.Path), ".unfinished-0-"):
				return syscall.ENOSPC
			case c.Name == "renameat" && filepath.Base(c.Path) == "1":
				return syscall.EIO
			}
			return 0
		})
	}()
	var lines []string
	for s := bufio.NewScanner(out); s.Scan(); {
		lines = append(lines, s.Text())
	}
	if err := errors.Join(cmd.Wait(), <-watched); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.Join(lines, " "), "does not ask") {
		t.Skip(lines)
	}
	for i, want := range []string{"0 true false", "1 false true", "2 false false <nil>"} {
		if len(lines) != 3 || !strings.HasPrefix(lines[i], want) {
			t.Fatalf("the child says %q, want %q", lines, want)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "2")); err != nil || string(got) != "whole" {
		t.Errorf("what did not fail is %q, %v", got, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%v is left of what failed", left)
	}
	for _, name := range []string{"write", "fsync", "openat", "renameat", "unlinkat"} {
		if seen[name] == 0 {
			t.Errorf("no %s was seen", name)
		}
	}
}
