//go:build linux

package train

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/compute"

	"rekindle/pkg/backend"
	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
	"rekindle/pkg/internal/faults"
)

// soaked is a session of a soak: one process that trains on until it is done or
// something ends it.
type soaked struct {
	Dir    string // of the experiment
	Device string
	Batch  int
	Steps  int    // MaxSteps
	OOM    int64  // the execution that runs out of memory; 0: none
	Policy string // OOMPolicy
	Always bool   // save after every batch
	Faults bool   // the parent makes system calls fail
}

// TestSoak trains one tiny network for thousands of epochs in many sessions, each a
// process of its own, which are interrupted and killed at random moments, run out
// of memory, change the batch size and the engine, find pictures added and taken
// away, and write to a file system that fails now and then. After each of them no
// epoch that was reported may be missing from the newest checkpoint, the history
// must be whole and its past unchanged, and memory, files and descriptors must not
// grow. REKINDLE_SOAK says for how many minutes (`make soak`); without it a few
// sessions are run. What was drawn is told by the seed in the log, REKINDLE_SOAK_SEED.
func TestSoak(t *testing.T) {
	if text := os.Getenv("SOAKED_SESSION"); text != "" {
		soakInThisProcess(t, text)
		return
	}
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("REKINDLE_SOAK_SEED"), 10, 64); err == nil {
		seed = n
	}
	length, sessions := 10*time.Second, 5
	if text := os.Getenv("REKINDLE_SOAK"); text != "" {
		minutes, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatalf("REKINDLE_SOAK: %v", err)
		}
		length, sessions = time.Duration(minutes*float64(time.Minute)), 1<<30
	}
	s := newSoak(t, seed)
	for until := time.Now().Add(length); time.Now().Before(until) && s.sessions < sessions && !t.Failed(); {
		s.session()
	}
	t.Logf("seed %d: %d epochs, %d steps in %d sessions: %v; calls that failed: %v; pictures %d; most memory of a process: %v; most open files: %d; most files in the experiment: %d",
		seed, s.newest.Epoch, s.newest.Step, s.sessions, s.ends, s.failed, s.pictures, s.memory, s.open, s.files)
}

// soak is the experiment and what was seen of it.
type soak struct {
	*testing.T
	r   *rand.Rand
	cfg config.Config
	exp *experiment.Experiment
	xla bool // is there

	newest   *checkpoint.State // after the last session
	reported int               // the last epoch that a session said was done
	sessions int
	pictures int
	ends     map[string]int // sessions by how they ended
	failed   map[string]int // system calls by how they failed
	memory   map[string]int // MB at most, by engine
	first    map[string]int // of it in the first sessions
	open     int            // files at the end of a session, at most
	files    int            // in the experiment's folder, at most
}

func newSoak(t *testing.T, seed uint64) *soak {
	s := &soak{T: t, r: rand.New(rand.NewPCG(seed, 0)), cfg: tiny(t), newest: &checkpoint.State{}, pictures: 2,
		ends: map[string]int{}, failed: map[string]int{}, memory: map[string]int{}, first: map[string]int{}}
	s.cfg.NumEpochs, s.cfg.Patience, s.cfg.ValEvery, s.cfg.SaveEvery, s.cfg.KeepCheckpoints = 100_000, 0, 2, 25, 3
	s.cfg.PatchesPerImage, s.cfg.ResumeFromCheckpoint = 2, true
	s.exp = newExperiment(t, s.cfg)
	_, err := backend.Open("cpu")
	if s.xla = err == nil; !s.xla {
		t.Logf("without XLA: %v", err)
	}
	return s
}

// session draws and runs one, and looks at what it left.
func (s *soak) session() {
	r := s.r
	plan := soaked{Dir: s.exp.Dir, Device: "go", Batch: []int{4, 4, 3, 8, 1}[r.IntN(5)], Steps: 20 + r.IntN(300), Policy: "stop", Always: r.IntN(4) == 0, Faults: r.IntN(5) < 2}
	if s.xla && r.IntN(4) == 0 {
		plan.Device = "cpu"
	}
	if r.IntN(5) == 0 && plan.Device == "go" {
		plan.OOM = 1 + r.Int64N(100)
		plan.Policy = []string{"stop", "halve"}[r.IntN(2)]
	}
	if r.IntN(4) == 0 {
		s.otherPictures()
	}
	var ending os.Signal
	after := time.Duration(r.ExpFloat64() * float64(8*time.Second))
	switch r.IntN(4) {
	case 0:
		ending = syscall.SIGKILL
	case 1:
		ending = syscall.SIGINT
	}
	before := s.newest
	how, open, memory := s.run(plan, ending, after, []float64{0.002, 0.02, 0.1}[r.IntN(3)])
	s.sessions++
	s.ends[how]++
	s.open = max(s.open, open)
	s.memory[plan.Device] = max(s.memory[plan.Device], memory)
	if s.sessions <= 40 {
		s.first[plan.Device] = s.memory[plan.Device]
	} else if most := s.first[plan.Device]*3/2 + 100; memory > most && s.first[plan.Device] > 0 {
		s.Errorf("session %d on %s held %d MB, the first ones %d MB", s.sessions, plan.Device, memory, s.first[plan.Device])
	}
	if open > 40 {
		s.Errorf("session %d ended with %d open files", s.sessions, open)
	}
	s.look(before, fmt.Sprintf("session %d (%+v, %s)", s.sessions, plan, how))
}

// otherPictures adds a training picture with its degraded copy, or takes one away.
func (s *soak) otherPictures() {
	name := filepath.Join(s.cfg.TrainCleanDir, fmt.Sprintf("%d.png", s.pictures))
	if s.pictures >= 6 {
		s.pictures--
		name = filepath.Join(s.cfg.TrainCleanDir, fmt.Sprintf("%d.png", s.pictures))
		if err := os.Remove(name); err != nil {
			s.Fatal(err)
		}
	} else {
		s.pictures++
		if err := deadleaves.Image(40, 40, s.r).SavePNG(name); err != nil {
			s.Fatal(err)
		}
	}
	if _, err := degrade.Folder(s.Context(), s.cfg.TrainCleanDir, s.cfg.TrainDegradedDir, degrade.Gaussian{Sigma: 50}, 1, nil); err != nil {
		s.Fatal(err)
	}
}

// run runs a session and says how it ended, how many files were open then, and how
// many MB of memory it held at most.
func (s *soak) run(plan soaked, ending os.Signal, after time.Duration, rate float64) (how string, open, memory int) {
	text, err := json.Marshal(plan)
	if err != nil {
		s.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestSoak$", "-test.v")
	cmd.Env = append(os.Environ(), "SOAKED_SESSION="+string(text), "REKINDLE_CACHE_DIR=off")
	ours, childs, err := faults.Socket()
	if err != nil {
		s.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{childs}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	childs.Close()
	watched := make(chan error, 1)
	var failing atomic.Int64 // calls in a row that fail, as on a full disk or an unplugged one
	draw := rand.New(rand.NewPCG(s.r.Uint64(), 0))
	go func() {
		watched <- faults.Watch(ours, func(c faults.Call) syscall.Errno {
			if !strings.HasPrefix(c.Path, s.exp.Dir) || c.Name == "openat" && !c.New && draw.IntN(5) > 0 {
				return 0
			}
			likely := rate
			if c.Name == "write" { // of which there are many to one of the others
				likely /= 30
			}
			if failing.Load() == 0 && draw.Float64() < likely {
				failing.Store(1 + draw.Int64N(6))
			}
			if failing.Load() == 0 {
				return 0
			}
			failing.Add(-1)
			e := []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.ESTALE}[draw.IntN(3)]
			s.failed[c.Name]++
			return e
		})
	}()
	if ending != nil {
		timer := time.AfterFunc(after, func() { cmd.Process.Signal(ending) })
		defer timer.Stop()
	}
	how = "neither ended nor killed"
	var log []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		log = append(log, line)
		if epoch, ok := strings.CutPrefix(line, "done "); ok {
			s.reported, _ = strconv.Atoi(epoch)
		}
		if _, err := fmt.Sscanf(line, "ended with %d open files: ", &open); err == nil {
			_, how, _ = strings.Cut(line, ": ")
			how, _, _ = strings.Cut(how, ":") // without the error
		}
	}
	err = cmd.Wait()
	if e := <-watched; e != nil {
		s.Error(e)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		how = "killed"
	} else if err != nil || how == "neither ended nor killed" {
		s.Fatalf("session %d (%+v): %v\n%s", s.sessions+1, plan, err, strings.Join(log, "\n"))
	}
	return how, open, int(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss / 1024)
}

// look compares what lies on the disk with what was there before.
func (s *soak) look(before *checkpoint.State, session string) {
	s.Helper()
	now, _, err := s.exp.Checkpoints().Newest(func(line string) { s.Errorf("%s: %s", session, line) })
	if err != nil {
		s.Fatalf("%s: %v", session, err)
	}
	if now == nil {
		if now = (&checkpoint.State{}); s.reported > 0 {
			s.Fatalf("%s: epoch %d was done, and there is no checkpoint", session, s.reported)
		}
	}
	if now.Epoch < s.reported || now.Epoch < before.Epoch || now.Step < before.Step && now.Epoch == before.Epoch {
		s.Errorf("%s: the newest checkpoint is of epoch %d, step %d; epoch %d was done, and before were %d and %d",
			session, now.Epoch, now.Step, s.reported, before.Epoch, before.Step)
	}
	if now.History.Len() != now.Epoch {
		s.Errorf("%s: %d rows of history after %d epochs", session, now.History.Len(), now.Epoch)
	}
	s.samePast(session+", in the checkpoint", now.History, before.History, before.Epoch)
	if onDisk, err := history.Load(s.exp.HistoryPath()); err == nil {
		// It is written after the checkpoint: a session that ends between the two leaves it behind.
		s.samePast(session+", in history.json", *onDisk, now.History, min(onDisk.Len(), now.Epoch))
	} else if !errors.Is(err, fs.ErrNotExist) {
		s.Errorf("%s: %v", session, err)
	}
	for i, loss := range now.History.TrainLoss {
		if !isFinite(loss) || (i+1)%s.cfg.ValEvery == 0 && !isFinite(now.History.ValLoss[i]) {
			s.Errorf("%s: epoch %d has losses of %v and %v", session, i+1, loss, now.History.ValLoss[i])
		}
	}
	var files []string
	if err := filepath.WalkDir(s.exp.Dir, func(path string, _ fs.DirEntry, err error) error {
		files = append(files, strings.TrimPrefix(path, s.exp.Dir))
		return err
	}); err != nil {
		s.Error(err)
	}
	if s.files = max(s.files, len(files)); len(files) > 40 {
		s.Errorf("%s: %d files in the experiment's folder: %q", session, len(files), files)
	}
	s.newest = now
}

// samePast compares the first n rows of two histories.
func (s *soak) samePast(where string, got, want history.History, n int) {
	s.Helper()
	a, b := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range a.NumField() {
		x, ok := a.Field(i).Interface().(history.Series)
		y, _ := b.Field(i).Interface().(history.Series)
		if !ok {
			continue
		}
		for k := range n {
			if k >= len(x) || k >= len(y) || x[k] != y[k] && (x[k] == x[k] || y[k] == y[k]) {
				s.Errorf("%s: %s of epoch %d is not what it was (%d and %d rows)", where, a.Type().Field(i).Name, k+1, len(x), len(y))
				return
			}
		}
	}
}

// telling is a Reporter that tells the parent of a session what is done.
type telling struct{ Silent }

func (telling) EpochDone(epoch int, _ history.Epoch, _ int, _ float64) { fmt.Println("done", epoch) }
func (telling) Message(format string, args ...any)                     { fmt.Printf(format+"\n", args...) }

// soakInThisProcess is what the other process does.
func soakInThisProcess(t *testing.T, text string) {
	var plan soaked
	if err := json.Unmarshal([]byte(text), &plan); err != nil {
		t.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGINT)
	defer stop()
	exp, err := experiment.Open(plan.Dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(exp.ConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Device, cfg.BatchSize, cfg.MaxSteps, cfg.OOMPolicy, cfg.ResumeFromCheckpoint = plan.Device, plan.Batch, plan.Steps, plan.Policy, true
	if plan.Always {
		cfg.SaveEveryMinutes = 1e-9
	}
	engine, err := backend.Open(cfg.Device)
	if err != nil {
		t.Fatal(err)
	}
	on := compute.Backend(engine.Backend)
	if plan.OOM > 0 {
		f := &faulty{Backend: on}
		f.execute.Store(plan.OOM)
		on = f
	}
	data := known(t, cfg)
	if plan.Faults {
		if err := faults.Enter(os.NewFile(3, "faults")); err != nil {
			t.Log(err)
		}
	}
	outcome, err := soakSession(ctx, exp, cfg, data, Options{Backend: on, Reporter: telling{}})
	if err != nil {
		outcome = "error"
	}
	open, _ := os.ReadDir("/proc/self/fd")
	fmt.Printf("ended with %d open files: %s: %v\n", len(open), outcome, err)
}

func soakSession(ctx context.Context, exp *experiment.Experiment, cfg config.Config, data Data, opts Options) (Outcome, error) {
	lock, err := exp.Lock()
	if err != nil {
		return "", err
	}
	defer lock.Release()
	result, err := Run(ctx, exp, cfg, data, opts)
	if result != nil {
		return result.Outcome, nil // a run that was out of memory has an error, too
	}
	return "", err
}
