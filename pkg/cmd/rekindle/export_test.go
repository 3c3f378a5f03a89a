package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
)

// two makes two experiments in which nothing was trained.
func two(t *testing.T) config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.ExperimentsDir = t.TempDir()
	for _, at := range []int{10, 20} {
		if _, err := experiment.Create(cfg, time.Date(2026, 1, 1, at, 0, 0, 0, time.UTC)); err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

func TestWrongExportsAreExplained(t *testing.T) {
	cfg := two(t)
	for _, c := range []struct{ args, want string }{
		{"latest", "name the experiment with -experiment"},
		{"-experiment 2026*", "means 2 experiments"},
		{"-experiment 20260101_100000", "nearest: 20260101_100000_bilinear"},
		{"-experiment *_10*", "has no checkpoint yet"},
		{"-format png", `no format "png"`},
		{"-dir " + filepath.Join(cfg.ExperimentsDir, "none"), "no experiment yet"},
	} {
		args := strings.Fields(c.args)
		if args[0] != "-dir" {
			args = append([]string{"-dir", cfg.ExperimentsDir}, args...)
		}
		if status, out, messages := call(context.Background(), append([]string{"export"}, args...)...); status != 1 || !strings.Contains(messages, c.want) || out != "" {
			t.Errorf("%s: status %d, %q and %q, want %q", c.args, status, out, messages, c.want)
		}
	}
	if status, _, messages := call(context.Background(), "export", "-fromat", "onnx"); status != 2 || !strings.Contains(messages, "rekindle export -experiment") {
		t.Errorf("a wrong flag: status %d, %q", status, messages)
	}
}

func TestExperimentsAreListedNewestFirst(t *testing.T) {
	cfg := two(t)
	status, out, messages := call(context.Background(), "list", "-dir", cfg.ExperimentsDir)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if status != 0 || messages != "" || len(lines) != 3 {
		t.Fatalf("status %d, %q and %q", status, out, messages)
	}
	for i, want := range []string{"experiment  ", "20260101_200000_bilinear  unet     gaussian     0 of 36  no session has ended", "20260101_100000_bilinear"} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d is %q, want %q", i+1, lines[i], want)
		}
	}
	damaged := filepath.Join(cfg.ExperimentsDir, cfg.Model, cfg.Degradation, "20260101_200000_bilinear", "history.json")
	if err := os.WriteFile(damaged, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if status, out, messages := call(context.Background(), "list", "-dir", cfg.ExperimentsDir); status != 0 || !strings.Contains(out, "gaussian     – of 36") || !strings.Contains(messages, damaged) {
		t.Errorf("with a damaged history: status %d, %q and %q", status, out, messages)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(damaged), "config.json")); err != nil {
		t.Fatal(err)
	}
	if _, out, _ := call(context.Background(), "list", "-dir", cfg.ExperimentsDir); !strings.Contains(out, "20260101_200000_bilinear  –        –            – of –   no session has ended") {
		t.Errorf("without its config.json:\n%s", out)
	}
	if status, _, messages := call(context.Background(), "list", "-dir", cfg.ExperimentsDir, "-experiment", "2027*"); status != 1 || !strings.Contains(messages, "2027*") {
		t.Errorf("a pattern without a match: status %d, %q", status, messages)
	}
}
