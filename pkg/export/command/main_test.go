package main

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
)

func TestWrongCallsAreExplained(t *testing.T) {
	cfg := config.Default()
	cfg.ExperimentsDir = t.TempDir()
	for _, at := range []int{10, 20} {
		if _, err := experiment.Create(cfg, time.Date(2026, 1, 1, at, 0, 0, 0, time.UTC)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ args, want string }{
		{"latest", "-experiment latest"},
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
		var out, messages bytes.Buffer
		if err := run(args, &out, &messages); err == nil || !strings.Contains(err.Error(), c.want) || out.Len() > 0 {
			t.Errorf("%s: got %v and %q, want %q", c.args, err, out.String(), c.want)
		}
	}
	var messages bytes.Buffer
	if err := run([]string{"-fromat", "onnx"}, &messages, &messages); !errors.Is(err, errUsage) || !strings.Contains(messages.String(), "Usage of export") {
		t.Errorf("a wrong flag: got %v and %q", err, messages.String())
	}
}
