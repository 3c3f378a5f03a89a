//go:build linux

package derived

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/internal/faults"
)

// slow makes 60 files of 100 pieces each, so that a kill finds it writing.
func slow(dir string, pause time.Duration) Folder {
	f := Folder{Dir: dir, Recipe: first}
	for i := range 60 {
		f.Items = append(f.Items, Item{Name: fmt.Sprintf("f%02d", i)})
	}
	f.Make = func(item Item, _ []byte, w io.Writer) error {
		for range 100 {
			if _, err := io.WriteString(w, strings.Repeat(item.Name, 50)); err != nil {
				return err
			}
			time.Sleep(pause)
		}
		return nil
	}
	return f
}

// TestMain is also the program that gets killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DERIVED_TEST_FILL"); dir != "" {
		if os.Getenv("DERIVED_TEST_FAULTS") != "" {
			if err := faults.Enter(os.NewFile(3, "faults")); err != nil {
				fmt.Println(err)
			}
		}
		fmt.Println("ready")
		_, err := Fill(context.Background(), slow(dir, 100*time.Microsecond))
		fmt.Println(err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestWhatAKilledProcessLeavesIsCompleted(t *testing.T) {
	dir := t.TempDir()
	for _, after := range []time.Duration{5, 60, 150, 300} { // milliseconds; each goes on with the last one's rest
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "DERIVED_TEST_FILL="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		io.ReadFull(out, make([]byte, len("ready")))
		time.Sleep(after * time.Millisecond)
		child.Process.Signal(syscall.SIGKILL)
		child.Wait()
	}
	if _, err := Fill(context.Background(), slow(dir, 0)); err != nil {
		t.Fatal(err)
	}
	got := names(t, dir)
	if len(got) != 60 {
		t.Errorf("the folder holds %d files, want 60 and nothing unfinished: %v", len(got), got)
	}
	for _, name := range got {
		if get(t, dir, name) != strings.Repeat(name, 50*100) {
			t.Errorf("%s is not whole", name)
		}
	}
	if n, err := Fill(context.Background(), slow(dir, 0)); n != 0 || err != nil {
		t.Errorf("a further call made %d (%v), want none", n, err)
	}
}

// filled fills dir with 60 pictures in a process whose system calls decide about, and
// returns what that printed.
func filled(t *testing.T, dir string, decide func(faults.Call) syscall.Errno) string {
	t.Helper()
	ours, childs, err := faults.Socket()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "DERIVED_TEST_FILL="+dir, "DERIVED_TEST_FAULTS=1")
	child.ExtraFiles = []*os.File{childs}
	watched := make(chan error, 1)
	go func() { watched <- faults.Watch(ours, decide) }()
	out := &strings.Builder{}
	child.Stdout, child.Stderr = out, out
	err = child.Start()
	childs.Close()
	if err == nil {
		err = child.Wait()
	}
	if err = errors.Join(err, <-watched); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "does not ask") {
		t.Skip(out)
	}
	return out.String()
}

func TestPicturesAreFlushedTogether(t *testing.T) {
	dir := t.TempDir()
	flushed := 0
	said := filled(t, dir, func(c faults.Call) syscall.Errno {
		if c.Name == "fsync" {
			flushed++
		}
		return 0
	})
	if got := names(t, dir); len(got) != 60 || !strings.Contains(said, "<nil>") {
		t.Errorf("%d pictures were made: %s", len(got), said)
	}
	if flushed > 30 {
		t.Errorf("60 pictures took %d calls of fsync", flushed)
	}
}

// Each picture is there whole or not at all, whichever call fails, and the next
// call completes the folder.
func TestAFileSystemThatFailsLeavesWholePictures(t *testing.T) {
	for _, name := range []string{"renameat", "fsync", "write", "openat"} {
		dir := t.TempDir()
		n := 0
		said := filled(t, dir, func(c faults.Call) syscall.Errno {
			if c.Name != name || !strings.HasPrefix(c.Path, dir) || c.Name == "openat" && !c.New {
				return 0
			}
			if n++; n == 4 {
				return syscall.EIO
			}
			return 0
		})
		if !strings.Contains(said, "input/output error") {
			t.Errorf("the fourth %s fails: %s", name, said)
		}
		for _, name := range names(t, dir) {
			if get(t, dir, name) != strings.Repeat(name, 50*100) {
				t.Errorf("%s is not whole", name)
			}
		}
		if _, err := Fill(context.Background(), slow(dir, 0)); err != nil {
			t.Errorf("after the fourth %s failed: %v", name, err)
		}
		if got := names(t, dir); len(got) != 60 {
			t.Errorf("after the fourth %s failed: %d pictures, want 60", name, len(got))
		}
	}
}
