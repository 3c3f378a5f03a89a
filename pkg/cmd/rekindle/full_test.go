//go:build linux

package main

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/internal/disk"
)

// TestAFullDiskWhileRestoring lets a disk have no room at all, and no more than for the
// smaller two of three pictures.
func TestAFullDiskWhileRestoring(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "go")
	net, in := weights(t), t.TempDir()
	leaves(t, in)
	for _, c := range []struct {
		name, in, out string
		pages         int64
		left, whole   []string
	}{
		{"a file", "c.png", "x.png", 0, []string{"x.png"}, []string{"x.png"}},
		{"a folder", "", "", 0, nil, []string{"a.png", "b.png", "c.png"}},
		{"a folder, in the middle", "", "", 2, []string{"a.png", "b.png"}, []string{"a.png", "b.png", "c.png"}},
	} {
		small := disk.Small(t, "256k")
		for _, name := range c.left[:min(len(c.left), 1)] {
			if c.pages == 0 { // an older result, to be replaced
				photo(t, filepath.Join(small, name))
			}
		}
		makeRoom := disk.Fill(t, small)
		filler, err := filepath.Glob(filepath.Join(small, "filler-*"))
		if err != nil || len(filler) != 1 {
			t.Fatal(filler, err)
		}
		info, err := os.Stat(filler[0])
		if err == nil {
			err = os.Truncate(filler[0], info.Size()-c.pages*4096)
		}
		if err != nil {
			t.Fatal(err)
		}
		before := contents(t, small)
		args := []string{"restore", "-in", filepath.Join(in, c.in), "-out", filepath.Join(small, c.out), "-experiment", net}
		if c.in != "" {
			args = append(args, "-overwrite")
		}
		status, _, said := call(context.Background(), args...)
		if status != 1 || strings.Count(said, "❌") != 1 || !strings.Contains(said, "❌ the disk of "+small+" is full") || !strings.Contains(said, "the same call goes on with the rest") {
			t.Errorf("%s: exit status %d\n%s", c.name, status, said)
		}
		makeRoom()
		after := contents(t, small)
		if files := slices.Sorted(maps.Keys(after)); !slices.Equal(files, c.left) || c.in != "" && after[c.out] != before[c.out] {
			t.Errorf("%s: %q are left, want %q", c.name, files, c.left)
		}
		status, _, said = call(context.Background(), args...)
		after = contents(t, small)
		if files := slices.Sorted(maps.Keys(after)); status != 0 || !slices.Equal(files, c.whole) || c.in != "" && after[c.out] == before[c.out] {
			t.Errorf("%s: with room again %d, %q\n%s", c.name, status, files, said)
		}
	}
}

// One sentence before anything is computed, not one for each picture or after all of them.
func TestWhereNothingMayBeWrittenAnotherPlaceIsAskedFor(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "go")
	net, in, out := weights(t), t.TempDir(), t.TempDir()
	leaves(t, in)
	disk.ReadOnly(t, out)
	for _, args := range [][]string{
		{"restore", "-in", in, "-out", out, "-experiment", net},
		{"restore", "-in", in, "-out", filepath.Join(out, "new"), "-experiment", net},
		{"restore", "-in", filepath.Join(in, "a.png"), "-out", filepath.Join(out, "x.png"), "-experiment", net},
		{"score", "-set", in, "-out", filepath.Join(out, "scores"), "-net", net},
	} {
		status, done, said := call(context.Background(), args...)
		if status != 1 || strings.Count(said, "❌") != 1 || !strings.Contains(said, "nothing can be written to "+out) || !strings.Contains(said, "name another place") || strings.Contains(done, "a.png") {
			t.Errorf("%v: exit status %d\n%s%s", args, status, done, said)
		}
	}
}
