package documents

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
)

// ofItsOwn checks that two jobs of a script do not meet: each has its name, finds
// its own experiment, and makes its own noise.
func ofItsOwn(t *testing.T, first, second string) {
	t.Helper()
	a, err := config.Default().Override(first)
	must(t, err)
	b, err := config.Default().Override(second)
	must(t, err)
	for _, c := range []config.Config{a, b} {
		must(t, c.Validate())
		if !c.ResumeFromCheckpoint || c.ResumeExperiment != experiment.Auto {
			t.Errorf("a job is started with ResumeFromCheckpoint %v and ResumeExperiment %q", c.ResumeFromCheckpoint, c.ResumeExperiment)
		}
	}
	if a.Seed == b.Seed || a.ExperimentName == b.ExperimentName || a.TrainDegradedDir == b.TrainDegradedDir || a.ValDegradedDir == b.ValDegradedDir {
		t.Errorf("two jobs share a seed, a name or a folder of noisy copies:\n%+v\n%+v", a, b)
	}
}

func TestTheKubernetesJobsDoNotMeet(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(docs, "kubernetes.yaml"))
	must(t, err)
	_, after, found := strings.Cut(string(raw), "value: >-\n")
	object, _, closed := strings.Cut(after, "}\n")
	if !found || !closed {
		t.Fatal("kubernetes.yaml has no REKINDLE_CONFIG")
	}
	job := func(index string) string { return strings.ReplaceAll(object, "$(INDEX)", index) + "}" }
	ofItsOwn(t, job("0"), job("1"))
	notebook := regexp.MustCompile(`notebooks/[^"]*`).FindString(string(raw))
	if _, err := os.Stat(filepath.Join(clone, notebook)); err != nil {
		t.Error(err)
	}
}

// cluster is a folder with stand-ins for Slurm's commands. srun becomes the
// training: it waits for TERM, as the real one passes it on, and then ends with
// the status 130, or ends by itself with the status in the file "ends".
func cluster(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{
		"srun": `echo "$REKINDLE_CONFIG" > config; echo "$@" > command
			trap 'exit 130' TERM; echo $$ > training
			while sleep 0.05; do [ ! -f ends ] || exit "$(cat ends)"; done`,
		"scancel":  `echo "scancel $*" >> calls; kill -TERM "$(cat training)"`,
		"scontrol": `echo "scontrol $*" >> calls; if [ "$1" = show ]; then echo "   PreemptEligibleTime=2026-01-02T08:00:00 PreemptTime=$(cat preempted 2>/dev/null || echo None)"; fi`,
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/bash\n"+text+"\n"), 0o777))
	}
	return dir
}

// job runs slurm.sh there; happen is called when the training has begun.
func job(t *testing.T, dir, task string, happen func(script, training *os.Process)) (calls string, status int) {
	t.Helper()
	script, err := filepath.Abs(filepath.Join(docs, "slurm.sh"))
	must(t, err)
	cmd := exec.Command("bash", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "SLURM_SUBMIT_DIR="+dir, "SLURM_JOB_ID=42", "SLURM_ARRAY_JOB_ID=42", "SLURM_ARRAY_TASK_ID="+task)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	deadline := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer deadline.Stop()
	pid := 0
	for begun := time.Now(); pid == 0 && time.Since(begun) < 20*time.Second; time.Sleep(10 * time.Millisecond) {
		raw, _ := os.ReadFile(filepath.Join(dir, "training"))
		for _, digit := range strings.TrimSpace(string(raw)) {
			pid = 10*pid + int(digit-'0')
		}
	}
	training, err := os.FindProcess(pid)
	must(t, err)
	happen(cmd.Process, training)
	_ = cmd.Wait()
	if said := out.String(); strings.Contains(said, "line ") {
		t.Errorf("slurm.sh: %s", said)
	}
	raw, _ := os.ReadFile(filepath.Join(dir, "calls"))
	return string(raw), cmd.ProcessState.ExitCode()
}

func TestSlurmJobsAreQueuedAgainUntilTheyAreDone(t *testing.T) {
	t.Parallel()
	write := func(dir, name, text string) { must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666)) }
	for _, c := range []struct {
		name   string
		happen func(dir string, script, training *os.Process)
		again  bool
		status int
	}{
		{"the time limit is near", func(dir string, script, _ *os.Process) { _ = script.Signal(syscall.SIGUSR1) }, true, 130},
		{"preempted", func(dir string, _, training *os.Process) {
			write(dir, "preempted", "2026-01-02T09:00:00")
			_ = training.Signal(syscall.SIGTERM)
		}, true, 130},
		{"cancelled", func(dir string, _, training *os.Process) { _ = training.Signal(syscall.SIGTERM) }, false, 130},
		{"done", func(dir string, _, _ *os.Process) { write(dir, "ends", "0") }, false, 0},
		{"failed", func(dir string, _, _ *os.Process) { write(dir, "ends", "1") }, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := cluster(t)
			calls, status := job(t, dir, "1", func(script, training *os.Process) { c.happen(dir, script, training) })
			if strings.Contains(calls, " 42\n") {
				t.Errorf("the whole array is meant, not one job:\n%s", calls)
			}
			if got := strings.Contains(calls, "scontrol requeue 42_1\n"); got != c.again || status != c.status {
				t.Errorf("queued again: %v, status %d; want %v, %d; calls:\n%s", got, status, c.again, c.status, calls)
			}
		})
	}
}

func TestTheSlurmJobsDoNotMeet(t *testing.T) {
	t.Parallel()
	overrides := func(task string) string {
		dir := cluster(t)
		must(t, os.WriteFile(filepath.Join(dir, "ends"), []byte("0"), 0o666))
		job(t, dir, task, func(_, _ *os.Process) {})
		raw, err := os.ReadFile(filepath.Join(dir, "config"))
		must(t, err)
		command, err := os.ReadFile(filepath.Join(dir, "command"))
		must(t, err)
		words := strings.Fields(string(command))
		if _, err := os.Stat(filepath.Join(clone, words[len(words)-1])); err != nil {
			t.Errorf("slurm.sh runs %q: %v", command, err)
		}
		return string(raw)
	}
	ofItsOwn(t, overrides("1"), overrides("2"))
}

func TestTheScriptsAreWellFormed(t *testing.T) {
	t.Parallel()
	for _, check := range [][]string{{"bash", "-n"}, {"shellcheck"}} {
		if _, err := exec.LookPath(check[0]); err != nil {
			if os.Getenv("CI") != "" {
				t.Errorf("CI needs %s", check[0])
			}
			t.Logf("not checked with %s, which is not installed", check[0])
			continue
		}
		if out, err := exec.Command(check[0], append(check[1:], filepath.Join(docs, "slurm.sh"))...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", check[0], err, out)
		}
	}
}
