package compute

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/internal/bitwise"
)

// TestJobsKilledByASchedulerEndAsIfLeftAlone plays a cluster with machines that
// are taken away: three jobs share one folder of experiments; each is started,
// told to end (SIGTERM, now and then SIGKILL) at a random moment, and started
// again with the same command, until it is done. Each must end in one folder of
// its own, with the weights and history of a job that nobody disturbed.
func TestJobsKilledByASchedulerEndAsIfLeftAlone(t *testing.T) {
	cfg := settings(t)
	cfg.ModelFeatures, cfg.PatchSize, cfg.PatchesPerImage, cfg.TileOverlap = 2, 16, 30, 4
	cfg.NumEpochs, cfg.ValEvery, cfg.SaveEvery, cfg.SaveEveryMinutes = 6, 2, 0, 10
	cfg.ResumeFromCheckpoint, cfg.ResumeExperiment = true, experiment.Auto
	atLeast := 9
	if n, err := strconv.Atoi(os.Getenv("REKINDLE_TORTURE")); err == nil {
		atLeast, cfg.NumEpochs = n, 6+n/5
	}

	const jobs = 3
	shared := cfg.ExperimentsDir
	var all sync.WaitGroup
	stops := make([]int, jobs)
	for i := range jobs {
		all.Go(func() {
			job := cfg
			job.Seed, job.ExperimentName = int64(i), fmt.Sprintf("seed_%d", i)
			r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(i)))
			for ; !startAndStop(t, job, r, stops[i] < atLeast/jobs) && !t.Failed(); stops[i]++ {
			}
		})
	}
	all.Wait()
	t.Logf("the jobs were stopped %v times", stops)
	names, err := filepath.Glob(filepath.Join(shared, "*", "*", "[^.]*")) // one killed while it made its folder leaves a hidden one
	if err != nil || len(names) != jobs {
		t.Fatalf("got the experiments %q, %v; want one for each of %d jobs", names, err, jobs)
	}
	for i := range jobs {
		job := cfg
		job.Seed, job.ExperimentName = int64(i), fmt.Sprintf("seed_%d", i)
		got := lastState(t, job)
		job.ExperimentsDir = filepath.Join(t.TempDir(), "experiments")
		if out, err := training(t, job, os.Args[0]).CombinedOutput(); err != nil {
			t.Fatalf("undisturbed: %v\n%s", err, out)
		}
		bitwise.SameTraining(t, got, lastState(t, job))
		if t.Failed() {
			t.Fatalf("%s differs from a job that was left alone", job.ExperimentName)
		}
	}
}

// startAndStop starts a job and, with stop, ends it after a while. It reports
// whether the job was done before that.
func startAndStop(t *testing.T, cfg config.Config, r *rand.Rand, stop bool) (done bool) {
	cmd := training(t, cfg, os.Args[0])
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return false
	}
	signal := syscall.SIGTERM
	if r.IntN(4) == 0 {
		signal = syscall.SIGKILL
	}
	if stop {
		timer := time.AfterFunc(time.Duration(20+r.IntN(500))*time.Millisecond, func() { _ = cmd.Process.Signal(signal) })
		defer timer.Stop()
	}
	err := cmd.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.Sys().(syscall.WaitStatus).Signaled() {
		return false // before it had begun, or by force
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", cfg.ExperimentName, err, out.String())
		return false
	}
	exp, err := experiment.Find(cfg)
	if err != nil {
		t.Error(err)
		return false
	}
	stats, err := exp.LoadStats()
	if err != nil {
		t.Error(err)
	}
	return stats.Status == "completed"
}

func lastState(t *testing.T, cfg config.Config) *checkpoint.State {
	t.Helper()
	exp, err := experiment.Find(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := exp.Checkpoints().Newest(func(line string) { t.Error(line) })
	if err != nil || s == nil {
		t.Fatalf("%s: %v, %v", exp.Name(), s, err)
	}
	return s
}
