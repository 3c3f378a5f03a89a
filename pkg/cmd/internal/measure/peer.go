package measure

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

//go:embed peer.py
var script string

// Peer is PyTorch: peer.py, which does what it is asked in a process of its own.
type Peer struct {
	python  string
	Version string // of PyTorch and Python
}

// installed is the Python of "make peers".
const installed = "build/python/bin/python"

// FindPeer looks for PyTorch in a Python, "" for that of make peers or else
// python3. The error says why there is none.
func FindPeer(ctx context.Context, python string) (*Peer, error) {
	if python == "" {
		python = "python3"
		if _, err := os.Stat(installed); err == nil {
			python = installed
		}
	}
	p := &Peer{python: python}
	var hello struct {
		Torch, Python string
		Threads       int
	}
	if err := p.ask(ctx, &hello); err != nil {
		return nil, err
	}
	p.Version = fmt.Sprintf("PyTorch %s (%d threads), Python %s", hello.Torch, hello.Threads, hello.Python)
	return p, nil
}

func (p *Peer) ask(ctx context.Context, to any, args ...string) error {
	return answer(exec.CommandContext(ctx, p.python, append([]string{"-c", script}, args...)...), io.Discard, to)
}

// Ask lets PyTorch do what a request says until e; peer.py has the requests.
func (p *Peer) Ask(ctx context.Context, device string, e Enough, request string) (t Turns, err error) {
	return t, p.ask(ctx, &t, strings.Fields(e.line(device, request))...)
}

// answer runs a program that prints JSON. The last line of its complaints is in the
// error.
func answer(cmd *exec.Cmd, log io.Writer, to any) error {
	var complaints bytes.Buffer
	cmd.Stderr = io.MultiWriter(log, &complaints)
	raw, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(raw, to)
	}
	if err != nil {
		lines := strings.Split(strings.TrimSpace(complaints.String()), "\n")
		return fmt.Errorf("%s: %w: %s", cmd.Path, err, lines[len(lines)-1])
	}
	return nil
}
