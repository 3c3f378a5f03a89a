package cell

import (
	"os"
	"path/filepath"
	"testing"
)

func TestACloneWithLineEndsOfWindowsFindsItsRoot(t *testing.T) {
	dir := t.TempDir()
	inside := filepath.Join(dir, "notebooks", "deep")
	if err := os.MkdirAll(inside, 0o777); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"module rekindle\r\n\r\ngo 1.26\r\n": dir, "module rekindle\n": dir, "module rekindle": dir, "module rekindler\r\n": ""} {
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := root(inside); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
