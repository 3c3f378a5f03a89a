package train

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/compute"

	"rekindle/pkg/backend"
	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
	"rekindle/pkg/internal/bitwise"
)

// kills is how many times a run is killed: a few in the normal tests, the number
// in REKINDLE_TORTURE in `make torture`.
func kills(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("REKINDLE_TORTURE"))
	if err != nil {
		return 8
	}
	return n
}

// TestKilledAtAnyMomentLosesNothing starts training in a process of its own,
// kills it (SIGKILL, as the kernel's OOM killer or a power cut would) at random
// moments, and starts it again, until it is done; over and over. Every run must
// end with the weights and history of a run that was never disturbed. The runs
// save after every batch, so that many kills hit a save.
func TestKilledAtAnyMomentLosesNothing(t *testing.T) {
	if dir := os.Getenv("TORTURED_EXPERIMENT"); dir != "" {
		trainInThisProcess(t, dir)
		return
	}
	torture(t, tinyUNet(t), goEngine(t), kills(t), 600*time.Millisecond)
}

// torture kills runs of a Device, that of the configuration, so often, each after
// at most so long. engine is the same in this process.
func torture(t *testing.T, cfg config.Config, engine compute.Backend, total int, longest time.Duration) {
	t.Helper()
	cfg.NumEpochs, cfg.ValEvery = 8, 2
	cfg.SaveEveryMinutes = 1e-9
	_, want := mustRun(t, context.Background(), newExperiment(t, cfg), cfg, Options{Backend: engine})

	cfg.ResumeFromCheckpoint = true
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	finished := 0
	for killed := 0; killed < total; {
		exp := newExperiment(t, cfg)
		for {
			ended, err := trainAndKill(t, exp, 50*time.Millisecond+time.Duration(r.Int64N(int64(longest))))
			if err != nil {
				t.Fatalf("after %d kills: %v", killed, err)
			}
			if ended {
				break
			}
			killed++
		}
		finished++
		bitwise.SameTraining(t, newest(t, exp), want)
		onDisk, err := history.Load(exp.HistoryPath())
		if err != nil {
			t.Fatal(err)
		}
		bitwise.SameHistory(t, onDisk, &want.History)
		if t.Failed() {
			t.Fatalf("a run that was killed on its way differs from one that was not (%d kills so far)", killed)
		}
		if killed == 0 {
			total = max(1, total-1) // lucky: not killed at all; do not go on for ever
		}
	}
	t.Logf("%d runs were completed in spite of at least %d kills", finished, total)
}

// trainAndKill trains in another process and kills it after a while; ended
// reports that it was quicker.
func trainAndKill(t *testing.T, exp *experiment.Experiment, after time.Duration) (ended bool, err error) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "TORTURED_EXPERIMENT="+exp.Dir)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Signal(syscall.SIGKILL) })
	err = cmd.Wait()
	timer.Stop()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return false, nil
	}
	if err != nil {
		text, _ := os.ReadFile(log.Name())
		return false, errors.New(string(text))
	}
	return true, nil
}

// trainInThisProcess is what the other process does.
func trainInThisProcess(t *testing.T, dir string) {
	exp, err := experiment.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(exp.ConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	lock, err := exp.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	engine, err := backend.Open(cfg.Device)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), exp, cfg, load(t, cfg), Options{Backend: engine.Backend}); err != nil {
		t.Fatal(err)
	}
}
