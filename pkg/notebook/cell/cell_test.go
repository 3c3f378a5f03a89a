package cell

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets the test binary be the program of a cell that ends with an error.
func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv("CELL_THAT_ENDS_WITH"); ok {
		Check(nil)
		err := errors.New(text)
		if strings.HasPrefix(text, "nothing") {
			err = ErrNothing
		}
		Check(err)
		os.Exit(7) // Check has not ended it
	}
	os.Exit(m.Run())
}

func TestAnErrorEndsTheCellWithOneSentence(t *testing.T) {
	for _, c := range []struct {
		text           string
		status         int
		stdout, stderr string
	}{
		{"the folder is empty; put pictures there", 1, "", "❌ the folder is empty; put pictures there\n"},
		{"nothing", 0, "ℹ️  nothing to show yet\n", ""},
	} {
		var out, errs strings.Builder
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "CELL_THAT_ENDS_WITH="+c.text, RunDirVariable+"=")
		cmd.Stdout, cmd.Stderr = &out, &errs
		_ = cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != c.status || out.String() != c.stdout || errs.String() != c.stderr {
			t.Errorf("%s: got status %d, %q and %q, want %d, %q and %q", c.text, got, &out, &errs, c.status, c.stdout, c.stderr)
		}
	}
}

func TestWhatCellsPrintGoesToTheLogOfAHeadlessRun(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, LogName)
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Setenv(RunDirVariable, dir)
	var log logFile
	for _, line := range []string{"one\n", "two\n"} {
		if n, err := log.Write([]byte(line)); err != nil || n != len(line) {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "\none\ntwo\n" {
		t.Errorf("got %q, %v, want both lines after an empty one", got, err)
	}
	t.Setenv(RunDirVariable, filepath.Join(dir, "gone"))
	var lost logFile
	if n, err := lost.Write([]byte("x")); n != 1 || err != nil {
		t.Errorf("a log that is gone: got %d, %v, want no error", n, err)
	}
}

func TestATableStaysHarmlessInHTML(t *testing.T) {
	got := Table{Head: []string{"a<b", "n"}, Text: 1, Rows: [][]string{{"<script>", "1"}}}.html("x&y")
	if strings.Contains(got, "<script>") || !strings.Contains(got, "&lt;script&gt;") || !strings.Contains(got, "x&amp;y") || strings.Count(got, "<tr>") != 2 {
		t.Errorf("got %s", got)
	}
}

func TestEachColumnOfASortedTableCanBeClicked(t *testing.T) {
	table := Table{Head: []string{"a", "b"}, Sorts: true, Rows: [][]string{{"1", "2"}}}
	if text := table.html("x"); strings.Count(text, "onclick") != len(table.Head) {
		t.Errorf("got %s", text)
	}
}
