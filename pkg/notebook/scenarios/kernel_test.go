package scenarios

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/experiment"
	"rekindle/pkg/notebook/ipynb"
)

const notebookFile = ipynb.Main

// The whole of a Run All takes 10 s here; a busy machine may need many times that.
const patience = 3 * time.Minute

// machine is what all notebooks of a test share: a clone with the kernel
// installed, a Python that has jupyter_client, and one set of pictures.
type machine struct {
	clone, python, data string
	bare                bool // kernels are started by a front end that knows only where they are
}

// setUp does what `make run` does before it runs a notebook.
func setUp(t *testing.T) *machine {
	t.Helper()
	clone, err := filepath.Abs("../../..")
	must(t, err)
	for _, line := range [][]string{
		{"go", "build", "-o", "build/bin/launch", "./pkg/cmd/launch"},
		{"build/bin/launch", "setup"},
		{"go", "build", "./pkg/notebook/..."},
	} {
		cmd := exec.Command(line[0], line[1:]...)
		cmd.Dir = clone
		cmd.Env = append(os.Environ(), vectorCode)
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(line, " "), err, said)
		}
	}
	m := &machine{clone: clone, data: filepath.Join(t.TempDir(), "data")}
	must(t, os.Mkdir(m.data, 0o777))
	// Jupyter may have been installed in a virtual environment; its Python lies beside it.
	m.python = filepath.Join(filepath.Dir(m.jupyter(t)), "python3")
	if _, err := os.Stat(m.python); err != nil {
		m.python, err = exec.LookPath("python3")
		must(t, err)
	}
	n := open(t, m, tiny)
	n.works(n.run("control", "environment", "configuration", "skip", "data"))
	return m
}

const vectorCode = "GOEXPERIMENT=simd"

// newClone makes a folder that looks like a clone with one notebook, in which
// nothing has been run yet, except that the pictures are there.
func (m *machine) newClone(t *testing.T, notebook string) string {
	t.Helper()
	top := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(top, filepath.Dir(notebook)), 0o777))
	must(t, os.Symlink(m.data, filepath.Join(top, "data")))
	for _, file := range []string{"go.mod", notebook} {
		raw, err := os.ReadFile(filepath.Join(m.clone, file))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(top, file), raw, 0o666))
	}
	return top
}

// environ is the environment of a notebook in the folder top.
func (m *machine) environ(top, overrides string) []string {
	if m.bare {
		return []string{"PATH=/nowhere", "HOME=" + os.Getenv("HOME"), "TMPDIR=" + top, "REKINDLE_CONFIG=" + overrides,
			"JUPYTER_PATH=" + filepath.Join(m.clone, "build/jupyter"), "JUPYTER_RUNTIME_DIR=" + filepath.Join(top, "jupyter")}
	}
	return append(os.Environ(), vectorCode,
		"PATH="+filepath.Join(m.clone, "build/bin")+":"+os.Getenv("PATH"),
		"JUPYTER_PATH="+filepath.Join(m.clone, "build/jupyter"),
		"JUPYTER_RUNTIME_DIR="+filepath.Join(top, "jupyter"),
		"JUPYTER_CONFIG_DIR="+filepath.Join(top, "jupyter/config"),
		"TMPDIR="+top,
		"REKINDLE_CONFIG="+overrides, "REKINDLE_RUN_DIR=")
}

// notebook is an open notebook with a running kernel.
type notebook struct {
	t       *testing.T
	top     string
	ids     []string          // of the code cells, in their order
	source  map[string]string // of each
	driver  *exec.Cmd
	in      io.WriteCloser
	answers chan []byte
}

// tiny is small enough for an epoch to take a moment.
const tiny = `{"device": "go", "model_features": 2, "patch_size": 32, "tile_overlap": 8, "patches_per_image": 1, "val_patches_per_image": 1,
	"patience": 0, "max_eval_images": 2}`

// open opens a copy of the main notebook. overrides is JSON for REKINDLE_CONFIG.
func open(t *testing.T, m *machine, overrides string) *notebook {
	t.Helper()
	return openFile(t, m, notebookFile, overrides)
}

func openFile(t *testing.T, m *machine, path, overrides string) *notebook {
	t.Helper()
	n := &notebook{t: t, top: m.newClone(t, path), source: map[string]string{}, answers: make(chan []byte)}
	file, err := ipynb.Load(filepath.Join(n.top, path))
	must(t, err)
	for _, c := range file.Code() {
		n.ids = append(n.ids, c.ID)
		n.source[c.ID] = string(c.Source)
	}

	n.driver = exec.Command(m.python, filepath.Join(m.clone, "pkg/notebook/scenarios/testdata/kernel.py"))
	n.driver.Dir = filepath.Join(n.top, filepath.Dir(path))
	n.driver.Env = m.environ(n.top, overrides)
	log, err := os.Create(filepath.Join(n.top, "kernel.log"))
	must(t, err)
	n.driver.Stderr = log
	n.in, err = n.driver.StdinPipe()
	must(t, err)
	out, err := n.driver.StdoutPipe()
	must(t, err)
	must(t, n.driver.Start())
	go func() {
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				close(n.answers)
				return
			}
			n.answers <- line
		}
	}()
	t.Cleanup(func() { n.close(log) })
	return n
}

// close shuts the kernel down, by force if it must.
func (n *notebook) close(log *os.File) {
	n.in.Close()
	force := time.AfterFunc(20*time.Second, func() { _ = n.driver.Process.Signal(syscall.SIGTERM) })
	kill := time.AfterFunc(40*time.Second, func() { _ = n.driver.Process.Kill() })
	for range n.answers { // what nobody waited for
	}
	_ = n.driver.Wait()
	force.Stop()
	kill.Stop()
	log.Close()
	if n.t.Failed() {
		said, _ := os.ReadFile(log.Name())
		n.t.Logf("the kernel's own messages:\n%s", said)
	}
}

// edit replaces text in a cell, as somebody at the keyboard would.
func (n *notebook) edit(cell, old, new string) {
	n.t.Helper()
	if !strings.Contains(n.source[cell], old) {
		n.t.Fatalf("the cell %s does not contain %q", cell, old)
	}
	n.source[cell] = strings.Replace(n.source[cell], old, new, 1)
}

// set gives a key of the configuration a value, as somebody would: in the line that
// assigns it, also where that stands as a comment, else in a new line at the end.
func (n *notebook) set(key string, value any) {
	n.t.Helper()
	line := fmt.Sprintf("    cfg.%s = %#v", key, value)
	cell := n.source["configuration"]
	there := regexp.MustCompile(`(?m)^ {4}(// )?cfg\.` + key + ` = [^ \n]+`)
	if there.MatchString(cell) {
		n.source["configuration"] = there.ReplaceAllLiteralString(cell, line)
		return
	}
	const end = "\n})"
	if !strings.HasSuffix(cell, end) {
		n.t.Fatalf("the configuration cell does not end as it did:\n%s", cell)
	}
	n.source["configuration"] = strings.TrimSuffix(cell, end) + "\n" + line + end
}

// unset makes the line that assigns a key a comment again.
func (n *notebook) unset(key string) {
	n.t.Helper()
	n.edit("configuration", "    cfg."+key+" = ", "    // cfg."+key+" = ")
}

// output is what a front end shows under a cell.
type output struct {
	Cell           string
	OK             bool
	Seconds        float64
	Stdout, Stderr string
	HTML           string
	Pictures       int
	States         []state
}

// state is what one display of a cell showed for a while, until the next one of
// the same display was drawn in its place.
type state struct{ Display, HTML, Picture string }

// said is all text of an output.
func (o output) said() string { return o.Stdout + o.Stderr + o.HTML }

// outputs belong to cells that ran together.
type outputs []output

func (all outputs) of(cell string) output {
	for _, o := range all {
		if o.Cell == cell {
			return o
		}
	}
	return output{}
}

func (all outputs) pictures() (sum int) {
	for _, o := range all {
		sum += o.Pictures
	}
	return sum
}

func (n *notebook) send(job map[string]any) {
	n.t.Helper()
	line, err := json.Marshal(job)
	must(n.t, err)
	_, err = n.in.Write(append(line, '\n'))
	must(n.t, err)
}

// answer waits for one from the kernel.
func (n *notebook) answer(to any) {
	n.t.Helper()
	select {
	case line, open := <-n.answers:
		if !open {
			n.t.Fatal("the program that talks to the kernel has ended")
		}
		must(n.t, json.Unmarshal(line, to))
	case <-time.After(patience):
		n.t.Fatalf("no answer from the kernel for %v", patience)
	}
}

// start queues cells, all at once, and does not wait for them.
func (n *notebook) start(cells ...string) {
	n.t.Helper()
	var sources []string
	for _, id := range cells {
		source, found := n.source[id]
		if !found {
			n.t.Fatalf("there is no cell %s", id)
		}
		sources = append(sources, source)
	}
	n.send(map[string]any{"run": sources})
}

// wait collects the outputs of the cells that were started.
func (n *notebook) wait(cells ...string) outputs {
	n.t.Helper()
	var all outputs
	for _, id := range cells {
		o := output{Cell: id}
		n.answer(&o)
		all = append(all, o)
	}
	return all
}

// run queues cells and waits for all of them.
func (n *notebook) run(cells ...string) outputs {
	n.t.Helper()
	n.start(cells...)
	return n.wait(cells...)
}

func (n *notebook) runAll() outputs {
	n.t.Helper()
	return n.run(n.ids...)
}

// interrupt presses the stop button.
func (n *notebook) interrupt() { n.send(map[string]any{"interrupt": true}) }

func (n *notebook) restart() {
	n.t.Helper()
	n.send(map[string]any{"restart": true})
	var done struct{ Restarted bool }
	n.answer(&done)
}

// experiments returns the names of all experiments, oldest first.
func (n *notebook) experiments() []string {
	n.t.Helper()
	names, err := filepath.Glob(filepath.Join(n.top, "experiments/unet/gaussian/*"))
	must(n.t, err)
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	slices.Sort(names)
	return names
}

// only returns the one experiment that there is.
func (n *notebook) only() *experiment.Experiment {
	n.t.Helper()
	names := n.experiments()
	if len(names) != 1 {
		n.t.Fatalf("got the experiments %q, want one", names)
	}
	return n.experiment(names[0])
}

func (n *notebook) experiment(name string) *experiment.Experiment {
	n.t.Helper()
	exp, err := experiment.Open(filepath.Join(n.top, "experiments/unet/gaussian", name))
	must(n.t, err)
	return exp
}
