package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

//go:embed peer.py
var peerSource []byte

// peer is the PyTorch process that answers requests.
type peer struct {
	python, script string
	version        string // of PyTorch and Python
	note           string // what is special about its threads
	cmd            *exec.Cmd
	in             io.WriteCloser
	out            *bufio.Reader
}

// startPeer returns nil where there is no PyTorch.
func startPeer(python, dir string) (*peer, error) {
	p := &peer{python: python, script: filepath.Join(dir, "peer.py")}
	if err := os.WriteFile(p.script, peerSource, 0o644); err != nil {
		return nil, err
	}
	p.cmd = exec.Command(python, p.script)
	// Threads that spin while they wait are quicker on an idle machine, but on a
	// busy one they keep those from running that they wait for: PyTorch then takes
	// ten times as long. It gets the better of the two.
	if busy := load() > float64(runtime.NumCPU())/2; busy {
		p.note = ", OMP_WAIT_POLICY=passive because the machine was busy"
		p.cmd.Env = append(os.Environ(), "OMP_WAIT_POLICY=passive")
	}
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, nil
	}
	var hello struct{ Torch, Python string }
	if err := p.read(&hello); err != nil {
		p.cmd.Wait()
		return nil, nil
	}
	p.version = "PyTorch " + hello.Torch + " (4 threads" + p.note + "), Python " + hello.Python
	return p, nil
}

func (p *peer) read(to any) error {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the PyTorch process ended: %w", err)
	}
	return json.Unmarshal(line, to)
}

// ask returns how long each repetition of a request took.
func (p *peer) ask(request string) ([]time.Duration, error) {
	if _, err := fmt.Fprintln(p.in, request); err != nil {
		return nil, err
	}
	var reply struct{ Seconds []float64 }
	if err := p.read(&reply); err != nil {
		return nil, fmt.Errorf("%s: %w", request, err)
	}
	var out []time.Duration
	for _, s := range reply.Seconds {
		out = append(out, time.Duration(s*float64(time.Second)))
	}
	return out, nil
}

// peak is the most memory a process of its own takes for a request, in bytes.
func (p *peer) peak(request string) (int64, error) {
	cmd := exec.Command(p.python, append([]string{p.script}, strings.Fields(request)...)...)
	cmd.Env = p.cmd.Env
	raw, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", request, err)
	}
	var reply struct{ Peak int64 }
	return reply.Peak, json.Unmarshal(raw, &reply)
}

func (p *peer) close() {
	p.in.Close()
	p.cmd.Wait()
}
