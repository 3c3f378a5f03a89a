package derived

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
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
