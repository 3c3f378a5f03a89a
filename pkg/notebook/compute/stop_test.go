package compute

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/experiment"
	"rekindle/pkg/internal/faults"
	"rekindle/pkg/notebook"
)

// TestMain lets the test binary be the program of a training cell.
func TestMain(m *testing.M) {
	if text := os.Getenv("TRAINING_CELL"); text != "" {
		var cfg config.Config
		if err := json.Unmarshal([]byte(text), &cfg); err != nil {
			panic(err)
		}
		if os.Getenv("SYSTEM_CALLS_ARE_WATCHED") != "" {
			if err := faults.Enter(os.NewFile(3, "faults")); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
		switch os.Getenv("CELL") {
		case "":
			notebook.SetUp(cfg, false)
			Train(cfg)
		case "with pictures on a slow disk":
			notebook.SetUp(cfg, false)
			trainOn(cfg, func(config.Config, func(string)) (*notebook.Data, error) { select {} })
		case "prepare":
			notebook.PrepareData(cfg)
		case "evaluate":
			Evaluate(cfg)
		case "samples":
			RestoreSamples(cfg)
		case "export":
			Export(cfg, "safetensors")
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func settings(t *testing.T) config.Config {
	t.Helper()
	root := t.TempDir()
	cfg := config.Default()
	cfg.ExperimentsDir = filepath.Join(root, "experiments")
	cfg.TrainCleanDir, cfg.TrainDegradedDir = filepath.Join(root, "clean"), filepath.Join(root, "noisy")
	cfg.ValCleanDir, cfg.ValDegradedDir = cfg.TrainCleanDir, cfg.TrainDegradedDir
	cfg.BatchSize, cfg.PatchSize, cfg.PatchesPerImage, cfg.TileOverlap = 4, 32, 200, 8
	cfg.ModelFeatures, cfg.NumEpochs, cfg.WarmupEpochs, cfg.SaveEveryMinutes = 4, 1000, 1, 1e-9
	cfg.Device, cfg.UseAMP = "go", false
	if err := os.MkdirAll(cfg.TrainCleanDir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	if err := deadleaves.Image(140, 140, r).SavePNG(filepath.Join(cfg.TrainCleanDir, "a.png")); err != nil {
		t.Fatal(err)
	}
	if _, err := degrade.Folder(context.Background(), cfg.TrainCleanDir, cfg.TrainDegradedDir, degrade.Gaussian{Sigma: 50}, 1, nil); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// training is a training cell's program, as the kernel starts it.
func training(t *testing.T, cfg config.Config, command ...string) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "TRAINING_CELL="+string(text), "GONB_TMP_DIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	return cmd
}

// saved waits until the run has written a checkpoint of that name (a pattern).
func saved(t *testing.T, cfg config.Config, pattern string, within time.Duration) *checkpoint.State {
	t.Helper()
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		found, _ := filepath.Glob(filepath.Join(cfg.ExperimentsDir, "*", "*", "*", "checkpoints", pattern))
		if len(found) > 0 {
			s, err := checkpoint.Load(found[0])
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	t.Fatalf("no %s after %v", pattern, within)
	return nil
}

// ceiling is for a machine that is busy with other tests.
const ceiling = 30 * time.Second

// Everything must be on the disk 4 s after the signal: the kernel kills after 5.
const patience = 4 * time.Second

func TestSignalsSaveAndEndNormally(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGXCPU} {
		t.Run(signal.String(), func(t *testing.T) {
			cfg := settings(t)
			cmd := training(t, cfg, os.Args[0])
			var out strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			before := saved(t, cfg, checkpoint.Last, 30*time.Second)
			began := time.Now()
			cmd.Process.Signal(signal)
			err := cmd.Wait()
			if took := time.Since(began); err != nil || took > patience {
				t.Errorf("ended with %v after %v, want exit status 0 within %v\n%s", err, took, patience, out.String())
			}
			s := saved(t, cfg, "emergency_checkpoint_interrupt_epoch_*.pth", time.Second)
			if s.Step < before.Step {
				t.Errorf("the emergency checkpoint is at step %d, the run had come to %d", s.Step, before.Step)
			}
			if !strings.Contains(out.String(), "Training interrupted in epoch 1") || !strings.Contains(out.String(), "ResumeFromCheckpoint = true") {
				t.Errorf("the banner is missing:\n%s", out.String())
			}
		})
	}
}

func TestAnInterruptionWhilePicturesAreOpenedLeavesNoLock(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) { interruptedOpening(t, signal) })
	}
}

func interruptedOpening(t *testing.T, signal syscall.Signal) {
	cfg := settings(t)
	cmd := training(t, cfg, os.Args[0])
	cmd.Env = append(cmd.Env, "CELL=with pictures on a slow disk")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lock string
	for deadline := time.Now().Add(30 * time.Second); lock == ""; time.Sleep(10 * time.Millisecond) {
		found, _ := filepath.Glob(filepath.Join(cfg.ExperimentsDir, "*", "*", "*", ".lock"))
		if len(found) > 0 {
			if info, err := os.Stat(found[0]); err == nil && info.Size() > 0 {
				lock = found[0]
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the lock was not taken\n%s", out.String())
		}
	}
	began := time.Now()
	cmd.Process.Signal(signal)
	if err := cmd.Wait(); err != nil || time.Since(began) > ceiling || !strings.Contains(out.String(), "interrupted before training began") {
		t.Errorf("ended with %v after %v and\n%s", err, time.Since(began), out.String())
	}
	exp, err := experiment.Open(filepath.Dir(lock))
	if err != nil {
		t.Fatal(err)
	}
	if owner, died := exp.Died(); died {
		t.Errorf("the lock is still signed by %+v", owner)
	}
	if again, err := exp.Lock(); err != nil {
		t.Errorf("the lock cannot be had: %v", err)
	} else {
		again.Release()
	}
}

func TestNohupOutlivesTheTerminal(t *testing.T) {
	cfg := settings(t)
	cmd := training(t, cfg, "sh", "-c", `trap "" HUP; exec "$0"`, os.Args[0])
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	before := saved(t, cfg, checkpoint.Last, 30*time.Second)
	cmd.Process.Signal(syscall.SIGHUP)
	for deadline := time.Now().Add(30 * time.Second); saved(t, cfg, checkpoint.Last, time.Second).Step < before.Step+3; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("training does not go on")
		}
	}
	if found, _ := filepath.Glob(filepath.Join(cfg.ExperimentsDir, "*", "*", "*", "checkpoints", "emergency*")); len(found) > 0 {
		t.Errorf("it was interrupted: %q", found)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("SIGTERM ended it with %v", err)
	}
}

func TestAnInterruptionDoesNotWaitForALongStep(t *testing.T) {
	cfg := settings(t)
	cfg.PatchSize, cfg.BatchSize, cfg.ModelFeatures = 128, 24, 16 // a step of seconds
	cmd := training(t, cfg, os.Args[0])
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if found, _ := filepath.Glob(filepath.Join(cfg.ExperimentsDir, "*", "*", "*", ".lock")); len(found) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("training did not begin")
		}
	}
	time.Sleep(time.Second) // into the first step
	began := time.Now()
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil || time.Since(began) > patience {
		t.Errorf("ended with %v after %v, want exit status 0 within %v", err, time.Since(began), patience)
	}
	saved(t, cfg, "emergency_checkpoint_interrupt_epoch_1.pth", time.Second)
}

// TestAVanishedKernelIsNoticed: the kernel is killed and its training cell is
// left behind with nobody to print to. It must save and stop.
func TestAVanishedKernelIsNoticed(t *testing.T) {
	cfg := settings(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	kernel := training(t, cfg, "sh", "-c", fmt.Sprintf(`"$0" & echo $! > %s; wait`, pidFile), os.Args[0])
	out, err := kernel.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := kernel.Start(); err != nil {
		t.Fatal(err)
	}
	saved(t, cfg, checkpoint.Last, 30*time.Second)
	out.Close() // what the cell prints from now on is a broken pipe
	kernel.Process.Kill()
	kernel.Wait()
	saved(t, cfg, "emergency_checkpoint_interrupt_epoch_*.pth", patience)
	raw, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	fmt.Sscan(string(raw), &pid)
	for deadline := time.Now().Add(patience); syscall.Kill(pid, 0) == nil; time.Sleep(20 * time.Millisecond) {
		if state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); strings.Contains(string(state), ") Z ") {
			break // dead, and nobody has asked for its exit status yet
		}
		if time.Now().After(deadline) {
			t.Fatal("the training cell goes on without its kernel")
		}
	}
}

func TestASecondNotebookIsRefused(t *testing.T) {
	cfg := settings(t)
	first := training(t, cfg, os.Args[0])
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	saved(t, cfg, checkpoint.Last, 30*time.Second)
	cfg.ResumeFromCheckpoint = true
	out, err := training(t, cfg, os.Args[0]).CombinedOutput()
	if err == nil || !strings.Contains(string(out), fmt.Sprintf("is being trained by pid %d", first.Process.Pid)) {
		t.Errorf("the second notebook ended with %v and printed\n%s", err, out)
	}
	if names, err := experiment.List(cfg); err != nil || len(names) != 1 {
		t.Errorf("experiments: %v, %v", names, err)
	}
}
