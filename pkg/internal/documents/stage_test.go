package documents

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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
	"rekindle/pkg/history"
)

// stage is where plays are given: a program made of the documents' Go blocks,
// small pictures, and an experiment of three epochs, called "20251230_153045_bilinear".
type stage struct{ program, data, done string }

const exampleName = "20251230_153045_bilinear"

// source is the program: the cells of a notebook, with the edits of a document
// applied to the configuration.
const source = `package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/notebook"
	"rekindle/pkg/notebook/compute"
	"rekindle/pkg/notebook/network"
)

const SKIP_TRAINING = false

var _ = checkpoint.Best

var plays = map[string]func(cfg config.Config) (config.Config, bool){
%s}

func main() {
	var cfg config.Config
	notebook.Check(json.Unmarshal([]byte(os.Getenv("PLAY_CONFIG")), &cfg))
	skip := false
	for _, cell := range strings.Fields(os.Getenv("PLAY_CELLS")) {
		switch cell {
		case "configuration":
			var lines []config.Entry // what stands in the cell: the rest is the base's
			usual := config.Preset("go").WithFolders().Fields()
			for i, f := range cfg.Fields() {
				if f.Value != usual[i].Value {
					lines = append(lines, config.Entry{Key: f.Key, Value: json.RawMessage(f.Value)})
				}
			}
			cfg = notebook.Configure(func(c *config.Config) {
				edited, err := c.Apply(lines)
				notebook.Check(err)
				*c = edited
			})
			notebook.SkipTraining(skip)
		case "directories":
			notebook.SetUp(notebook.Settings(), notebook.SkipsTraining())
		case "data":
			notebook.PrepareData(notebook.Settings())
		case "model":
			network.Describe(notebook.Settings())
		case "training":
			if notebook.SkipsTraining() {
				notebook.LoadResults(notebook.Settings())
			} else {
				compute.Train(notebook.Settings())
			}
		case "curves":
			notebook.PlotCurves(notebook.Settings())
		case "inference":
			compute.RestoreSamples(notebook.Settings())
		case "evaluation":
			compute.Evaluate(notebook.Settings())
		default:
			play, found := plays[cell]
			if !found {
				notebook.Check(fmt.Errorf("there is no play %%q", cell))
			}
			cfg, skip = play(cfg)
		}
	}
}
`

// build makes the stage; the blocks keep their places in messages of the compiler.
func build(t *testing.T, blocks []block) *stage {
	t.Helper()
	var plays strings.Builder
	for _, b := range only(blocks, "play") {
		here, err := filepath.Abs(filepath.Join(docs, b.file))
		must(t, err)
		fmt.Fprintf(&plays, "%q: func(cfg config.Config) (config.Config, bool) {\n//line %s:%d\n%s\nreturn cfg, SKIP_TRAINING\n},\n", b.value, here, b.line, b.text)
	}
	dir := t.TempDir()
	main := filepath.Join(dir, "main.go")
	must(t, os.WriteFile(main, fmt.Appendf(nil, source, plays.String()), 0o666))
	s := &stage{program: filepath.Join(dir, "notebook"), data: filepath.Join(dir, "data"), done: filepath.Join(dir, "done")}
	if out, err := exec.Command("go", "build", "-o", s.program, main).CombinedOutput(); err != nil {
		t.Fatalf("the documents' Go blocks do not compile: %v\n%s", err, out)
	}
	for name, n := range map[string]int{"train": 2, "val": 1} {
		clean := filepath.Join(s.data, "raw", name)
		must(t, deadleaves.Folder(t.Context(), clean, n, 64, 64, int64(n), nil))
		_, err := degrade.Folder(context.Background(), clean, filepath.Join(s.data, "degraded", "gaussian", "sigma_100", name), degrade.Gaussian{Sigma: 100}, 1, nil)
		must(t, err)
	}
	k := s.kernel(t, nil)
	k.works(k.run("configuration directories data model training curves inference evaluation"))
	rename(t, k.only().Dir, filepath.Join(filepath.Dir(k.only().Dir), exampleName))
	must(t, os.Rename(filepath.Join(k.top, "experiments"), s.done))
	return s
}

// rename gives an experiment another name, as if it had been made under it.
func rename(t *testing.T, from, to string) {
	t.Helper()
	must(t, os.Rename(from, to))
	path := filepath.Join(to, "config.json")
	raw, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, bytes.ReplaceAll(raw, []byte(filepath.Base(from)), []byte(filepath.Base(to))), 0o666))
}

// small is a training of a moment: three epochs of two batches.
func small() config.Config {
	cfg := config.Default()
	cfg.Device, cfg.UseAMP, cfg.ModelFeatures = "go", false, 2
	cfg.PatchSize, cfg.TileOverlap, cfg.PatchesPerImage, cfg.ValPatchesPerImage, cfg.BatchSize, cfg.NumWorkers = 16, 4, 4, 2, 4, 2
	cfg.NumEpochs, cfg.WarmupEpochs, cfg.ValEvery, cfg.SaveEvery, cfg.Patience = 3, 1, 1, 2, 0
	cfg.LearningRate, cfg.MinLR = 1e-3, 1e-5
	return cfg.WithFolders()
}

// kernel is an open notebook: a folder that looks like a clone, and what cells
// remember.
type kernel struct {
	t           *testing.T
	s           *stage
	top, memory string
	cfg         config.Config // what stands in the configuration cell, before the document's edits
}

// kernel opens a notebook in a new folder. With example, the finished experiment
// is there.
func (s *stage) kernel(t *testing.T, with func(k *kernel)) *kernel {
	t.Helper()
	k := &kernel{t: t, s: s, top: t.TempDir(), cfg: small()}
	k.restart()
	must(t, os.Symlink(s.data, filepath.Join(k.top, "data")))
	if with != nil {
		with(k)
	}
	return k
}

func example(k *kernel) {
	must(k.t, os.CopyFS(filepath.Join(k.top, "experiments"), os.DirFS(k.s.done)))
}

func (k *kernel) restart() { k.memory = k.t.TempDir() }

func (k *kernel) command(cells string) *exec.Cmd {
	k.t.Helper()
	text, err := json.Marshal(k.cfg)
	must(k.t, err)
	cmd := exec.Command(k.s.program)
	cmd.Dir = k.top
	cmd.Env = append(os.Environ(), "PLAY_CONFIG="+string(text), "PLAY_CELLS="+cells, "GONB_TMP_DIR="+k.memory, "REKINDLE_CONFIG=", "REKINDLE_RUN_DIR=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// result is what cells printed, and how they ended.
type result struct {
	text string
	err  error
}

// run runs cells and the edits of documents, in one program. GoNB gives each cell
// a program of its own; they share nothing else either.
func (k *kernel) run(cells string) result {
	k.t.Helper()
	out, err := k.command(cells).CombinedOutput()
	return result{string(out), err}
}

const runAll = " configuration directories data model training curves"

// stopped trains until a checkpoint is saved, and then gets a signal.
func (k *kernel) stopped(signal os.Signal) result {
	k.t.Helper()
	cfg := k.cfg
	defer func() { k.cfg = cfg }()
	k.cfg.NumEpochs, k.cfg.PatchesPerImage = 1000, 40
	cmd := k.command(strings.TrimSpace(runAll))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(k.t, cmd.Start())
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if found, _ := filepath.Glob(filepath.Join(k.top, "experiments", "*", "*", "*", "checkpoints", checkpoint.Last)); len(found) > 0 {
			break
		}
		if time.Since(begun) > time.Minute {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			k.t.Fatalf("no checkpoint was saved:\n%s", out.String())
		}
	}
	must(k.t, cmd.Process.Signal(signal))
	err := cmd.Wait()
	return result{out.String(), err}
}

// goesOnTo lets the run end soon: two epochs after the newest checkpoint.
func (k *kernel) goesOnTo() {
	k.t.Helper()
	entries, err := k.only().Checkpoints().List()
	must(k.t, err)
	k.cfg.NumEpochs, k.cfg.PatchesPerImage = entries[0].Epoch+2, 40
}

// only returns the one experiment that there is.
func (k *kernel) only() *experiment.Experiment {
	k.t.Helper()
	all := k.all()
	if len(all) != 1 {
		k.t.Fatalf("got the experiments %q, want one", all)
	}
	return k.experiment(all[0])
}

func (k *kernel) all() []string {
	k.t.Helper()
	cfg := k.cfg
	cfg.ExperimentsDir = filepath.Join(k.top, "experiments")
	names, err := experiment.List(cfg)
	must(k.t, err)
	return names
}

func (k *kernel) experiment(name string) *experiment.Experiment {
	k.t.Helper()
	exp, err := experiment.Open(filepath.Join(k.top, "experiments", k.cfg.Model, k.cfg.Degradation, name))
	must(k.t, err)
	return exp
}

// epochs checks how many epochs an experiment's history has.
func (k *kernel) epochs(exp *experiment.Experiment, want int) {
	k.t.Helper()
	h, err := history.Load(exp.HistoryPath())
	must(k.t, err)
	if h.Len() != want {
		k.t.Errorf("%s has %d epochs, want %d", exp.Name(), h.Len(), want)
	}
}

func (k *kernel) works(r result) string {
	k.t.Helper()
	if r.err != nil {
		k.t.Fatalf("the cells ended with %v:\n%s", r.err, r.text)
	}
	return r.text
}

func (k *kernel) fails(r result) string {
	k.t.Helper()
	if r.err == nil {
		k.t.Fatalf("the cells ended well, want an error:\n%s", r.text)
	}
	return r.text
}
