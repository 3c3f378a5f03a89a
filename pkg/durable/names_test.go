package durable

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAnyNameCanBePrintedAndReadBack(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"a.png", "caf\xe9.png", "caf\xe8.png", "café.png", "\xff\xfe", "a\xc3", "\u8abf.png", ""} {
		p := Printable(name)
		if !utf8.ValidString(p) || Unprintable(p) != name {
			t.Errorf("%q is printed as %q and read back as %q", name, p, Unprintable(p))
		}
		if other, taken := seen[p]; taken {
			t.Errorf("%q and %q are both printed as %q", name, other, p)
		}
		seen[p] = name
		if utf8.ValidString(name) && p != name {
			t.Errorf("%q became %q", name, p)
		}
	}
}

func TestNamesAsLongAsTheyMayBeAreWritten(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{strings.Repeat("x", 255), strings.Repeat("é", 127), strings.Repeat("\u8abf", 85)} {
		path := filepath.Join(dir, name)
		for range 2 {
			if err := WriteFile(path, []byte("whole")); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != "whole" {
			t.Errorf("a name of %d bytes: %q, %v", len(name), got, err)
		}
		if short := Shortened(name, 4); len(short)+4 > 255 || !utf8.ValidString(short) || !strings.HasPrefix(name, short) || len(short) < 248 {
			t.Errorf("%d bytes are cut to %d", len(name), len(short))
		}
	}
	if got := Shortened("short", 200); got != "short" {
		t.Errorf("got %q", got)
	}
}

func TestThisDiskTellsCaseApart(t *testing.T) {
	dir := t.TempDir()
	if FoldsCase(dir) || FoldsCase(filepath.Join(dir, "not", "there")) {
		t.Skip("it does not here")
	}
	assertFolder(t, dir)
}
