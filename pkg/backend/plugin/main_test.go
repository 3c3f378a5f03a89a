//go:build linux && amd64

package main

import (
	"os"
	"strings"
	"testing"
)

func TestAnotherCUDAIsRefusedBeforeAnythingIsRemoved(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	if err := install(11, "latest"); err == nil || !strings.Contains(err.Error(), "12 and 13") {
		t.Errorf("CUDA 11: got %v, want an error that names those there are", err)
	}
	if left, err := os.ReadDir(home); err != nil || len(left) > 0 {
		t.Errorf("the home folder holds %v, %v; want it untouched", left, err)
	}
}
