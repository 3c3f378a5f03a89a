package compute

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
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
	names, err := filepath.Glob(filepath.Join(shared, "*", "*", "*"))
	if err != nil || len(names) != jobs {
		t.Fatalf("got the experiments %q, %v; want one for each of %d jobs", names, err, jobs)
	}
	for i := range jobs {
		job := cfg
		job.Seed, job.ExperimentName = int64(i), fmt.Sprintf("seed_%d", i)
		got := lastState(t, job)
		job.ExperimentsDir = filepath.Join(t.TempDir(), "experiments")
		if out, err := cell(t, job, os.Args[0]).CombinedOutput(); err != nil {
			t.Fatalf("undisturbed: %v\n%s", err, out)
		}
		sameState(t, job.ExperimentName, got, lastState(t, job))
	}
}

// startAndStop starts a job and, with stop, ends it after a while. It reports
// whether the job was done before that.
func startAndStop(t *testing.T, cfg config.Config, r *rand.Rand, stop bool) (done bool) {
	cmd := cell(t, cfg, os.Args[0])
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
	s, _, err := checkpoint.Newest(exp.CheckpointsDir(), func(line string) { t.Error(line) })
	if err != nil || s == nil {
		t.Fatalf("%s: %v, %v", exp.Name(), s, err)
	}
	return s
}

// sameState compares what training depends on and has measured, bit for bit;
// times and memory are left out.
func sameState(t *testing.T, name string, got, want *checkpoint.State) {
	t.Helper()
	if got.Epoch != want.Epoch || got.Position != 0 || got.Step != want.Step || got.BestEpoch != want.BestEpoch || got.BestLoss != want.BestLoss || got.Patience != want.Patience {
		t.Errorf("%s: epoch %d step %d best %d (%v), want %d, %d, %d (%v)", name, got.Epoch, got.Step, got.BestEpoch, got.BestLoss, want.Epoch, want.Step, want.BestEpoch, want.BestLoss)
	}
	for i, w := range want.Model {
		if g := got.Model[i]; g.Name != w.Name || g.Count != w.Count || !slices.Equal(g.Values, w.Values) {
			t.Errorf("%s: %s differs", name, w.Name)
		}
	}
	for i := range want.FirstMoments {
		if !slices.Equal(got.FirstMoments[i], want.FirstMoments[i]) || !slices.Equal(got.SecondMoments[i], want.SecondMoments[i]) {
			t.Errorf("%s: the moments of parameter %d differ", name, i)
		}
	}
	equal := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
	g, w := got.History, want.History
	for _, c := range []struct {
		name      string
		got, want experiment.Series
	}{
		{"train_loss", g.TrainLoss, w.TrainLoss}, {"train_l1", g.TrainL1, w.TrainL1}, {"train_ssim", g.TrainSSIM, w.TrainSSIM},
		{"val_loss", g.ValLoss, w.ValLoss}, {"val_l1", g.ValL1, w.ValL1}, {"val_ssim", g.ValSSIM, w.ValSSIM}, {"lr", g.LR, w.LR},
	} {
		if !slices.EqualFunc(c.got, c.want, equal) {
			t.Errorf("%s: history %s is %v, want %v", name, c.name, c.got, c.want)
		}
	}
}
