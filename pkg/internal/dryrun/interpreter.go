//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && arm64))

package dryrun

import (
	"bufio"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"

	"rekindle/pkg/internal/python"
)

//go:embed compute.py
var script []byte

// WithPyTorch returns an engine of one device whose programs PyTorch computes.
// Where there is no PyTorch the test is skipped.
func WithPyTorch(t *testing.T) *Engine {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "compute.py")
	if err := os.WriteFile(file, script, 0o644); err != nil {
		t.Fatal(err)
	}
	p := &interpreter{dir: dir}
	cmd := exec.Command(python.With(t, "torch"), file)
	cmd.Stderr = &p.complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.jobs, p.answers = in, bufio.NewReader(out)
	t.Cleanup(func() {
		in.Close()
		cmd.Wait() // how it ended was seen where it mattered
	})
	e := New(1)
	e.torch = p
	return e
}

// interpreter is the running script.
type interpreter struct {
	mu         sync.Mutex
	dir        string
	jobs       io.Writer
	answers    *bufio.Reader
	complaints strings.Builder
}

func (p *interpreter) execute(x *executable, inputs []compute.Buffer) ([]compute.Buffer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	job := map[string]string{
		"program": filepath.Join(p.dir, fmt.Sprint(x.number)),
		"inputs":  filepath.Join(p.dir, "inputs"), "outputs": filepath.Join(p.dir, "outputs"),
	}
	var raw []byte
	for _, in := range inputs {
		b := in.(*buffer)
		values := b.values
		if values == nil {
			values = make([]float32, b.shape.Size())
		}
		for _, v := range values {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
	}
	line, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	for file, content := range map[string][]byte{job["program"]: x.text, job["inputs"]: raw} {
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return nil, err
		}
	}
	if _, err := fmt.Fprintf(p.jobs, "%s\n", line); err != nil {
		return nil, fmt.Errorf("dryrun: %w: %s", err, &p.complaints)
	}
	if _, err := p.answers.ReadString('\n'); err != nil {
		return nil, fmt.Errorf("dryrun: %w: %s", err, &p.complaints)
	}
	if raw, err = os.ReadFile(job["outputs"]); err != nil {
		return nil, err
	}
	var out []compute.Buffer
	for _, s := range x.outputs {
		values := make([]float32, s.Size())
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		raw = raw[4*len(values):]
		out = append(out, &buffer{x.engine, 0, s, values})
	}
	return out, nil
}
