//go:build linux

package train

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
	"rekindle/pkg/internal/bitwise"
	"rekindle/pkg/internal/disk"
)

// TestTwoTrainWhereThereAreNoLocks lets two train one experiment at the same time: both
// are warned and come to their end, and what is on the disk then is whole.
func TestTwoTrainWhereThereAreNoLocks(t *testing.T) {
	cfg := tiny(t)
	cfg.SaveEveryMinutes = 1e-9
	_, want := mustRun(t, context.Background(), newExperiment(t, cfg), cfg, Options{})

	cfg.ExperimentsDir = filepath.Join(disk.Mounted(t, disk.Odd{NoLocks: true}), "experiments")
	exp := newExperiment(t, cfg)
	ended := make(chan error)
	data := [2]Data{load(t, cfg), load(t, cfg)}
	for i := range 2 {
		lock, err := exp.Lock()
		if err != nil || lock.Warning == "" {
			t.Fatalf("writer %d: %v, and the warning is %q", i+1, err, lock.Warning)
		}
		defer lock.Release()
	}
	for i := range 2 {
		engine := goEngine(t)
		go func() {
			_, err := Run(context.Background(), exp, cfg, data[i], Options{Backend: engine, Reporter: &watch{}})
			ended <- err
		}()
	}
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	bitwise.SameTraining(t, newest(t, exp), want)
	if h, err := history.Load(exp.HistoryPath()); err != nil || h.Len() != cfg.NumEpochs {
		t.Errorf("the history: %+v, %v", h, err)
	}
	for _, dir := range []string{exp.Dir, exp.CheckpointsDir()} {
		if left, _ := filepath.Glob(filepath.Join(dir, durable.TempPrefix+"*")); len(left) > 0 {
			t.Errorf("%q is left", left)
		}
	}
}

func TestTrainingWhereCaseDoesNotCount(t *testing.T) {
	cfg := tiny(t)
	_, want := mustRun(t, context.Background(), newExperiment(t, cfg), cfg, Options{})
	cfg.ExperimentsDir = filepath.Join(disk.Mounted(t, disk.Odd{FoldsCase: true}), "experiments")
	exp := newExperiment(t, cfg)
	_, got := mustRun(t, context.Background(), exp, cfg, Options{})
	bitwise.SameTraining(t, got, want)
	again, err := experiment.Open(filepath.Join(filepath.Dir(exp.Dir), strings.ToUpper(exp.Name())))
	if err != nil || !again.HasCheckpoint() {
		t.Errorf("by another spelling: %v", err)
	}
}
