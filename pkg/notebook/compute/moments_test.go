//go:build linux

package compute

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"rekindle/pkg/durable"
	"rekindle/pkg/internal/faults"
)

// filesBelow are the contents of all files below some folders, those that are locks
// left out.
func filesBelow(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() || strings.HasSuffix(path, ".lock") {
				return err
			}
			raw, err := os.ReadFile(path)
			files[path] = string(raw)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestSignalsAtOtherMomentsLeaveEverythingAsItWas sends each signal to cells that make
// degraded copies, evaluate, restore samples and export, and then runs them again.
func TestSignalsAtOtherMomentsLeaveEverythingAsItWas(t *testing.T) {
	begins := func(text string) func(faults.Call) bool {
		return func(c faults.Call) bool {
			return c.Name == "openat" && c.New && strings.Contains(c.Path, text) && strings.Contains(c.Path, durable.TempPrefix)
		}
	}
	for _, m := range []struct {
		cell     string
		at       func(c faults.Call) bool
		sentence string
		made     string // is there when the cell has run again
	}{
		{"prepare", begins("/made/"), "❌ interrupted; run the cell again to complete the data", "made/*/a.png"},
		{"evaluate", begins("restored_images"), "❌ Evaluation interrupted; pictures and scores are as they were before it", "experiments/*/*/*/restored_images/a.png"},
		{"evaluate", func(c faults.Call) bool { return strings.HasSuffix(c.Path, ".evaluation.lock") && c.Name == "write" },
			"❌ Evaluation interrupted; pictures and scores are as they were before it", "experiments/*/*/*/evaluation_metrics.json"},
		{"samples", func(c faults.Call) bool { return strings.HasSuffix(c.Path, "/noisy/b.png") }, "❌ Interrupted; the samples are as they were before", "experiments/*/*/*/samples/inference_results.png"},
		{"export", begins("safetensors"), "❌ Export interrupted; nothing half-written is left", "experiments/*/*/*/export/*.safetensors"},
	} {
		t.Run(m.cell, func(t *testing.T) {
			for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
				cfg, exp := untrained(t)
				if m.cell == "prepare" {
					cfg.TrainDegradedDir = filepath.Join(filepath.Dir(cfg.TrainCleanDir), "made", "train")
					cfg.ValDegradedDir = filepath.Join(filepath.Dir(cfg.TrainCleanDir), "made", "val")
				}
				root := filepath.Dir(cfg.ExperimentsDir)
				remembered := os.Getenv("GONB_TMP_DIR")
				before := filesBelow(t, root)
				cmd := training(t, cfg, os.Args[0])
				cmd.Env = append(cmd.Env, "CELL="+m.cell, "SYSTEM_CALLS_ARE_WATCHED=1", "GONB_TMP_DIR="+remembered, "REKINDLE_CACHE_DIR=off")
				status, said, took := faults.SignalAt(t, cmd, signal, m.at)
				if took > ceiling {
					t.Errorf("%v: it took %v", signal, took)
				}
				if status != 1 || strings.Count(said, m.sentence) != 1 || strings.Count(said, "❌") != 1 {
					t.Errorf("%v: exit status %d, want 1 and %q\n%s", signal, status, m.sentence, said)
				}
				after := filesBelow(t, root)
				for path := range after {
					if strings.Contains(path, durable.TempPrefix) || strings.Contains(path, "restored_images.unfinished") {
						t.Errorf("%v: %s is left", signal, path)
					}
				}
				if m.cell == "prepare" { // whole copies and what vouches for them may be there
					maps.DeleteFunc(after, func(path, _ string) bool { return strings.Contains(path, "/made/") })
				}
				if !maps.Equal(after, before) {
					t.Errorf("%v: there are %q, before there were %q", signal, slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
				}
				if lock, err := exp.Lock(); err != nil {
					t.Errorf("%v: the lock cannot be had: %v", signal, err)
				} else {
					lock.Release()
				}
				again := training(t, cfg, os.Args[0])
				again.Env = append(again.Env, "CELL="+m.cell, "GONB_TMP_DIR="+remembered, "REKINDLE_CACHE_DIR=off")
				if out, err := again.CombinedOutput(); err != nil {
					t.Errorf("%v: the cell again ends with %v\n%s", signal, err, out)
				}
				if found, err := filepath.Glob(filepath.Join(root, m.made)); len(found) == 0 {
					t.Errorf("%v: then there is no %s (%v)", signal, m.made, err)
				}
			}
		})
	}
}
