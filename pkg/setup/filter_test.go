package setup

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/internal/standin"
	"rekindle/pkg/notebook/ipynb"
)

func TestGitSeesWhatWasEditedAndNotWhatWasRun(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git")
	}
	s := clone(t)
	program, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	// This test's own program is the filter.
	standin.Write(t, filepath.Join(s.bin(), "launch"), "#!/bin/sh\n[ -n \"$2\" ] || exit 0\nREKINDLE_TEST_FILTER=\"$2\" exec "+quoted(program)+" -test.run='^TestActAsFilter$'\n", 0o777)
	standin.Write(t, filepath.Join(s.Dir, ".gitattributes"), "/notebooks/**/*.ipynb filter=rekindle\n", 0o666)
	standin.Write(t, filepath.Join(s.Dir, ".gitignore"), "/build/\n", 0o666)
	const file = "notebooks/unet/a.ipynb"
	standin.Write(t, filepath.Join(s.Dir, file), `{"metadata": {}, "nbformat": 4, "nbformat_minor": 5, "cells": [
		{"cell_type": "markdown", "id": "title", "metadata": {}, "source": ["# A"]},
		{"cell_type": "code", "id": "training", "metadata": {}, "source": ["%%\n", "Train(c)"], "outputs": [], "execution_count": null}]}`, 0o666)
	load := func() *ipynb.Notebook {
		t.Helper()
		n, err := ipynb.Load(filepath.Join(s.Dir, file))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := load().Save(filepath.Join(s.Dir, file)); err != nil {
		t.Fatal(err)
	}
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@b"}, args...)...)
		cmd.Dir = s.Dir
		said, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, said)
		}
		return string(said)
	}
	git("init", "-q")
	if err := s.installFilter(); err != nil {
		t.Fatal(err)
	}
	git("add", "-A")
	git("commit", "-qm", "a")

	change := func(f func(n *ipynb.Notebook)) {
		t.Helper()
		n := load()
		f(n)
		path := filepath.Join(s.Dir, file)
		if err := n.Save(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	one := 1
	change(func(n *ipynb.Notebook) {
		n.Metadata["language_info"] = map[string]any{"version": "1.99"}
		n.Cells[1].ExecutionCount = &one
		n.Cells[1].Metadata = map[string]any{"scrolled": true}
		n.Cells[1].Outputs = []map[string]any{{"output_type": "stream", "name": "stdout", "text": []any{"trained\n"}}}
	})
	if s.settle(settled{}); git("diff", "--cached") != "" {
		t.Error("something was staged")
	}
	if said := git("status", "--porcelain"); said != "" {
		t.Errorf("a notebook that was run shows in git status: %s%s", said, git("diff"))
	}
	change(func(n *ipynb.Notebook) { n.Cells[1].Source = "%%\nTrain(c, 9)" })
	s.settle(settled{})
	diff := git("diff")
	if staged := git("diff", "--cached"); staged != "" {
		t.Errorf("an edit was staged:\n%s", staged)
	}
	if !strings.Contains(diff, "Train(c, 9)") || strings.Contains(diff, "trained") || strings.Contains(diff, "1.99") {
		t.Errorf("the difference of an edited notebook is\n%s", diff)
	}
	if n := load(); len(n.Cells[1].Outputs) == 0 {
		t.Error("the outputs on disk are lost")
	}
	// What is stored for readers is seen.
	change(func(n *ipynb.Notebook) {
		n.Cells[1].Source = "%%\nTrain(c)"
		if err := n.Store(n); err != nil {
			t.Fatal(err)
		}
	})
	if diff := git("diff"); !strings.Contains(diff, "trained") {
		t.Errorf("outputs that were stored anew do not show:\n%s", diff)
	}
	// Without the program git sees the file as it is.
	if err := os.Remove(filepath.Join(s.bin(), "launch")); err != nil {
		t.Fatal(err)
	}
	change(func(n *ipynb.Notebook) { n.Metadata["x"] = 1 })
	if diff := git("diff"); !strings.Contains(diff, "trained") || !strings.Contains(diff, `"x": 1`) {
		t.Errorf("without the program the difference is\n%s", diff)
	}
}

// TestActAsFilter is the program that git calls in the test above.
func TestActAsFilter(t *testing.T) {
	file := os.Getenv("REKINDLE_TEST_FILTER")
	if file == "" {
		t.Skip("this is for another test")
	}
	top, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err == nil {
		err = Filter(strings.TrimSpace(string(top)), file, os.Stdin, os.Stdout)
	}
	if err != nil {
		os.Exit(1)
	}
	os.Exit(0) // before anything else is printed
}

func TestTheFilterLeavesAloneWhatGitDoesNotKnow(t *testing.T) {
	var out bytes.Buffer
	if err := Filter(t.TempDir(), "notebooks/new.ipynb", strings.NewReader("{no JSON"), &out); err != nil || out.String() != "{no JSON" {
		t.Errorf("got %q, %v", out.String(), err)
	}
}
