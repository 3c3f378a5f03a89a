// Package standin gives tests of set-up and of the launcher a folder that looks like a
// clone, and what their programs print.
package standin

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Clone makes a folder that looks like a clone, under a name that is a pattern too.
func Clone(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "clone[1]")
	Write(t, filepath.Join(dir, "go.mod"), "module rekindle\n\nrequire (\n\tgithub.com/janpfeifer/gonb v0.11.4\n)\n", 0o666)
	Write(t, filepath.Join(dir, "n.ipynb"), "{}", 0o666)
	for _, d := range []string{"pkg/cmd/launch", "build/bin", "build/jupyter"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Write writes a file, in a folder that may have to be made.
func Write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// Printed returns what f writes to standard output and standard error.
func Printed(t *testing.T, f func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = w, w
	defer func() { os.Stdout, os.Stderr = stdout, stderr }()
	text := make(chan string)
	go func() {
		all, _ := io.ReadAll(r)
		text <- string(all)
	}()
	f()
	w.Close()
	return <-text
}
