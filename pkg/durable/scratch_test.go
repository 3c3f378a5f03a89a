package durable

import (
	"os"
	"path/filepath"
	"testing"
)

func TestScratchOfKilledProgramsIsRemoved(t *testing.T) {
	dir := t.TempDir()
	killed, other := filepath.Join(dir, "run-1"), filepath.Join(dir, "runs")
	for _, d := range []string{killed, other} {
		if err := os.MkdirAll(filepath.Join(d, "log"), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	first, remove, err := Scratch(dir, "run")
	if err != nil {
		t.Fatal(err)
	}
	second, removeToo, err := Scratch(dir, "run")
	if err != nil {
		t.Fatal(err)
	}
	there := func(path string) bool { _, err := os.Stat(path); return err == nil }
	if there(killed) || !there(other) || !there(first) || !there(second) {
		t.Errorf("that of a killed program %v, another folder %v, those of two that live %v, %v", there(killed), there(other), there(first), there(second))
	}
	remove()
	removeToo()
	if there(first) || there(second) {
		t.Error("not removed")
	}
}
