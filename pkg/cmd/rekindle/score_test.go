package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/score"
)

func TestANetworkIsScored(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "go")
	set, out := t.TempDir(), filepath.Join(t.TempDir(), "scores.json")
	for _, name := range []string{"a.png", "b.png"} {
		if err := deadleaves.Image(40, 30, rand.New(rand.NewPCG(1, uint64(name[0])))).SavePNG(filepath.Join(set, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/none/c.png", filepath.Join(set, "c.png")); err != nil {
		t.Fatal(err)
	}
	args := []string{"score", "-net", weightsOf(t, "ffdnet"), "-set", set, "-sigma", "15,80", "-out", out}
	status, said, messages := call(context.Background(), args...)
	if status != 0 || strings.Count(said, "a.png") != 2 || strings.Count(said, "📏") != 2 || !strings.Contains(said, "2 pictures, sigma 80: ") {
		t.Errorf("status %d:\n%s%s", status, said, messages)
	}
	if !strings.Contains(messages, "trained for noise levels of 0 to 75, and 80 is outside") || strings.Contains(messages, "and 15 is") {
		t.Errorf("the warning: %s", messages)
	}
	if !strings.Contains(messages, "c.png is passed over: it is a link to /none/c.png") {
		t.Errorf("a picture that is missing from the mean is not named: %s", messages)
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var report score.Report
	if err := json.Unmarshal(raw, &report); err != nil || len(report.Results) != 2 || report.Results[0].Pictures[1].Name != "b.png" {
		t.Errorf("%v: %s", err, raw)
	}
	table, err := os.ReadFile(strings.TrimSuffix(out, ".json") + ".csv")
	if lines := strings.Split(strings.TrimSpace(string(table)), "\n"); err != nil || len(lines) != 7 || !strings.HasPrefix(lines[6], "80,mean,") {
		t.Errorf("%v:\n%s", err, table)
	}
}

func TestAFolderIsRestoredAtALevel(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "go")
	in, out := filepath.Join(t.TempDir(), "a.png"), t.TempDir()
	if err := deadleaves.Image(24, 18, rand.New(rand.NewPCG(1, 2))).SavePNG(in); err != nil {
		t.Fatal(err)
	}
	net, results := weightsOf(t, "ffdnet"), map[string]bool{}
	for _, sigma := range []string{"10", "70"} {
		to := filepath.Join(out, sigma+".png")
		if status, said, messages := call(context.Background(), "restore", "-in", in, "-out", to, "-experiment", net, "-sigma", sigma); status != 0 {
			t.Fatalf("status %d:\n%s%s", status, said, messages)
		}
		raw, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		results[string(raw)] = true
	}
	if len(results) != 2 {
		t.Error("the level makes no difference")
	}
}

// A disk that is full, or a folder that may not be written, must not cost the numbers.
func TestScoresThatNobodyGetsAreNoSuccess(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "go")
	set := t.TempDir()
	if err := deadleaves.Image(24, 18, rand.New(rand.NewPCG(1, 2))).SavePNG(filepath.Join(set, "a.png")); err != nil {
		t.Fatal(err)
	}
	args := []string{"score", "-net", weightsOf(t, "ffdnet"), "-set", set, "-sigma", "15"}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	var messages strings.Builder
	if status := run(context.Background(), args, streams{full, &messages}); status != 1 || !strings.Contains(messages.String(), "no space left on device") {
		t.Errorf("standard output on a full disk: status %d, %q", status, messages.String())
	}
	status, said, why := call(context.Background(), append(args, "-out", "/proc/scores")...)
	if status != 1 || strings.Contains(said, "dB") || !strings.Contains(why, "nothing can be written to") {
		t.Errorf("a folder that may not be written: status %d after\n%s%s", status, said, why)
	}
}
