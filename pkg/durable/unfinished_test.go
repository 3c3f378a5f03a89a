package durable

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/internal/faults"
)

// TestMain is also a program that is told to end while it writes: there is no way back
// from [Abandon].
func TestMain(m *testing.M) {
	if dir := os.Getenv("DURABLE_TEST_ENDING_IN"); dir != "" {
		fmt.Println(ending(dir))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// ending writes some files, some of them to their end, and abandons the others.
func ending(dir string) error {
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := WriteFile(path("done"), []byte("new")); err != nil {
		return err
	}
	var files []*File
	for _, name := range []string{"old", "waits", "late"} {
		f, err := Create(path(name))
		if err == nil {
			_, err = f.WriteString("half")
		}
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	b, err := NewBatch(dir)
	if err == nil {
		err = b.Add(files[1])
	}
	if err != nil {
		return err
	}
	Abandon()
	if left, _ := filepath.Glob(path(TempPrefix + "*")); len(left) > 0 {
		return fmt.Errorf("%v is left", left)
	}
	for _, err := range []error{files[0].Commit(), b.Commit(), files[2].CommitNew(), WriteFile(path("later"), nil), Link(path("done"), path("link"))} {
		if !errors.Is(err, errAbandoned) {
			return fmt.Errorf("a file that was abandoned: %v", err)
		}
	}
	files[0].Abort()
	b.Close()
	return nil
}

func TestAProgramThatEndsLeavesWholeFilesAlone(t *testing.T) {
	dir := t.TempDir()
	if err := WriteFile(filepath.Join(dir, "old"), []byte("old")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DURABLE_TEST_ENDING_IN="+dir)
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "<nil>\n" {
		t.Fatalf("%v\n%s", err, out)
	}
	assertFolder(t, dir, "done", "old")
	for name, want := range map[string]string{"done": "new", "old": "old"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", name, got, err, want)
		}
	}
}

// unfinishedIn are the files under construction in a folder, by what they will be.
func unfinishedIn(dir string) string {
	found, _ := filepath.Glob(filepath.Join(dir, TempPrefix+"*"))
	var names []string
	for _, path := range found {
		name, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), TempPrefix), "-")
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func TestSweepSparesWhatIsBeingWritten(t *testing.T) {
	dir := t.TempDir()
	create := func(name string) *File {
		f, err := Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Abort)
		return f
	}
	create("a")
	create("b").Close() // as a killed process would leave it
	if err := os.Mkdir(filepath.Join(dir, TempPrefix+"folder"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(dir); err != nil || unfinishedIn(dir) != "a folder" {
		t.Errorf("with locks %v and %q are left, want a and the folder", err, unfinishedIn(dir))
	}
}

func TestWithoutLocksSweepTakesWhatIsOld(t *testing.T) {
	if !within(t, func(c faults.Call) syscall.Errno {
		if c.Name == "flock" {
			return syscall.ENOLCK
		}
		return 0
	}) {
		return
	}
	dir := t.TempDir()
	begin := func(name string) *File {
		f, err := Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Abort)
		return f
	}
	long := time.Now().Add(-2 * abandonedAfter)
	if err := os.Chtimes(begin("c").Name(), long, long); err != nil {
		t.Fatal(err)
	}
	begin("d")
	if err := Sweep(dir); err != nil || unfinishedIn(dir) != "d" {
		t.Errorf("without locks %v and %q are left, want what is younger than %v", err, unfinishedIn(dir), abandonedAfter)
	}
}

// TestSweepNeverTakesAFileThatIsBegun lets both run against each other.
func TestSweepNeverTakesAFileThatIsBegun(t *testing.T) {
	dir := t.TempDir()
	stop, swept := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				swept <- nil
				return
			default:
				if err := Sweep(dir); err != nil {
					swept <- err
					return
				}
			}
		}
	}()
	for i := range 300 {
		f, err := Create(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(f.Name()); err != nil {
			t.Fatalf("file %d was swept away: %v", i, err)
		}
		f.Abort()
	}
	close(stop)
	if err := <-swept; err != nil {
		t.Error(err)
	}
}
